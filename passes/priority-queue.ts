/** A binary heap that gives out the item with the smallest key first. */
export class PriorityQueue<T> {
  readonly #heap: { readonly item: T; readonly key: number }[] = [];

  push(item: T, key: number): void {
    const heap = this.#heap;
    const entry = { item, key };
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].key <= key) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop();
    if (!top || !last) return undefined;
    if (heap.length === 0) return top.item;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].key < heap[child].key) child++;
      if (heap[child].key >= last.key) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top.item;
  }
}
