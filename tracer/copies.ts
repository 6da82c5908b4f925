/**
 * Two copies of Kiln in one process (two versions installed, or one loaded by `import` and again by a loader's
 * `require`) have two classes `Tensor` that know nothing of each other. Our classes carry the mark of their copy, so
 * that an error can say so.
 *
 *     hintForCopies(foreignTensor)     // 'two copies of kilnjs are loaded ...'
 */
const mark: unique symbol = Symbol.for('kilnjs.copy') as never;
const thisCopy = {};

/** Marks the instances of a class as made by this copy. */
export function markCopy(ownClass: { readonly prototype: object }): void {
  Object.defineProperty(ownClass.prototype, mark, { value: thisCopy });
}

/** What to do about a value that another copy of Kiln has made; `undefined` for any other value. */
export function hintForCopies(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const copy = (value as { readonly [mark]?: object })[mark];
  if (!copy || copy === thisCopy) return undefined;
  return (
    'two copies of kilnjs are loaded, and this is a value of the other one: see `npm ls kilnjs`, load it everywhere ' +
    'with import or everywhere with require; under a loader such as tsx, write "type": "module" in package.json'
  );
}
