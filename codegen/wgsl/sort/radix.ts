/**
 * Sorts long rows by radix, eight bits of the keys a pass, the lowest first. A workgroup has a tile of a row. The number
 * of stages depends on the dtype alone:
 *
 *     count    how often each digit occurs in each tile
 *     scan     for each digit: how often it occurs in the tiles before, and in all of the row
 *     move     each element to its place: behind lower digits, earlier tiles, and earlier elements of the tile
 *
 * Within a tile, 256 elements at a time: each sets its bit in the mask of its digit; the bits before its own say how
 * many elements of that digit stand before it. So equal digits keep their order whatever runs first.
 */
import { ceilDivDims, type Dim, isStatic, mulDims } from '../../../base/dim.ts';
import { Body } from '../body.ts';
import { type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import { wordOf } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import { type KeyOrder, keyBits, keyText, positionWord, tagText, valueOfWord, valueText } from './keys.ts';

const digits = 256;
const rounds = 16;
const tileElements = usualWorkgroup * rounds;
/** Tiles of a row that a thread goes through by itself. */
const fewTiles = 32;
const noUse = { vectorReads: new Set<string>(), vectorWrites: new Set<string>(), scalarWrites: new Set<string>() };

/** Keys and tags of all rows, by the words where they begin. */
export interface Pairs {
  readonly keys: Dim;
  readonly tags: Dim | undefined;
}

/** An array of scratch memory with a part for each row: the word where it begins, and words of a part. */
export interface RowArray {
  readonly start: Dim;
  readonly size: Dim;
}

export interface RadixSort {
  readonly order: KeyOrder;
  readonly rows: Dim;
  readonly length: Dim;
  readonly count: Dim;
  /** Where the keys may differ, if in fewer bits than the dtype has: the lowest of them and the one behind the highest. */
  readonly bits?: readonly [number, number];
  /** Where the elements lie, and where those asked for go. */
  readonly elements: RowArray;
  readonly values: RowArray | undefined;
  readonly positions: RowArray | undefined;
  /** Room for pairs: passes go from one to the other, the last to the values and positions. */
  readonly room: readonly [Pairs, Pairs];
}

/** A pass: where its digits lie, from where and to where it goes. */
interface Pass {
  readonly sort: RadixSort;
  readonly shift: number;
  /** `undefined`: the elements. */
  readonly from: Pairs | undefined;
  /** `undefined`: the values and positions. */
  readonly to: Pairs | undefined;
  readonly counts: Dim;
  readonly totals: Dim;
  readonly tiles: Dim;
}

export function planRadix(sort: RadixSort, { facts, scratch }: ScheduleContext): readonly Stage[] {
  const [lowest, end] = sort.bits ?? keyBits(sort.order);
  const passes = Math.ceil((end - lowest) / 8);
  const tiles = ceilDivDims(sort.length, tileElements);
  const counts = scratch.allocate(mulDims(mulDims(sort.rows, digits), tiles));
  const totals = scratch.allocate(mulDims(sort.rows, digits));
  const stage = (workgroups: Dim, write: (body: Body) => void): Stage => ({
    workgroups,
    workgroupSize: usualWorkgroup,
    needsAllMemory: true,
    use: noUse,
    emit: (shader) => {
      const body = new Body(shader, facts);
      write(body);
      return body.text;
    },
  });
  return Array.from({ length: passes }, (_, at): readonly Stage[] => {
    const from = at === 0 ? undefined : sort.room[(at - 1) % 2];
    const to = at === passes - 1 ? undefined : sort.room[at % 2];
    const pass: Pass = { sort, shift: lowest + 8 * at, from, to, counts, totals, tiles };
    return [
      stage(mulDims(sort.rows, tiles), (body) => writeCount(body, pass)),
      isStatic(tiles) && tiles <= fewTiles
        ? stage(sort.rows, (body) => writeShortScan(body, pass))
        : stage(mulDims(sort.rows, digits), (body) => writeLongScan(body, pass)),
      stage(mulDims(sort.rows, tiles), (body) => writeMove(body, pass)),
    ];
  }).flat();
}

const word = (shader: Shader, start: Dim, index: string): string =>
  start === 0 ? `${shader.scratch()}[${index}]` : `${shader.scratch()}[${shader.size(start)} + ${index}]`;

const wordOfRow = (shader: Shader, { start, size }: RowArray, index: string): string =>
  word(shader, start, `row * ${shader.size(size)} + ${index}`);

/** The tile of a workgroup: `row`, `tile`, and `begin`, the first of its elements. */
function writeTile(body: Body, { tiles }: Pass): void {
  const count = body.shader.size(tiles);
  body.line(`let row = i32(workgroup)${tiles === 1 ? '' : ` / ${count}`};`);
  body.line(`let tile = ${tiles === 1 ? '0' : `i32(workgroup) % ${count}`};`);
  body.line(`let begin = tile * ${tileElements};`);
}

/** `key`, `digit`, and with tags `tag`, of the element at `at`. */
function writeElement(body: Body, { sort, shift, from }: Pass, withTag: boolean): void {
  const { shader } = body;
  const { order, length } = sort;
  const place = `row * ${shader.size(length)} + at`;
  if (from) body.line(`let key = ${word(shader, from.keys, place)};`);
  else {
    body.line(`let value = ${valueOfWord(order, wordOfRow(shader, sort.elements, 'at'))};`);
    body.line(`let key = ${keyText(shader, order, 'value')};`);
  }
  body.line(`let digit = ${shift === 0 ? '' : '('}key${shift === 0 ? '' : ` >> ${shift}u)`} & ${digits - 1}u;`);
  if (!withTag || !order.isTagged) return;
  if (from?.tags !== undefined) body.line(`let tag = ${word(shader, from.tags, place)};`);
  else body.line(`let tag = ${tagText(order, 'at', 'value')};`);
}

function writeCount(body: Body, pass: Pass): void {
  const { shader } = body;
  const tally = shader.declare('tally', `var<workgroup> tally: array<atomic<u32>, ${digits}>;`);
  writeTile(body, pass);
  body.line(`atomicStore(&${tally}[local], 0u);`);
  body.line('workgroupBarrier();');
  const end = `min(begin + ${tileElements}, ${shader.size(pass.sort.length)})`;
  body.line(`let end = ${end};`);
  body.block(`for (var at = begin + i32(local); at < end; at += ${usualWorkgroup})`, () => {
    writeElement(body, pass, false);
    body.line(`atomicAdd(&${tally}[digit], 1u);`);
  });
  body.line('workgroupBarrier();');
  const place = `(row * ${digits} + i32(local)) * ${shader.size(pass.tiles)} + tile`;
  body.line(`${word(shader, pass.counts, place)} = atomicLoad(&${tally}[local]);`);
}

/** A thread for each digit of a row goes through the tiles. */
function writeShortScan(body: Body, { sort, counts, totals, tiles }: Pass): void {
  const { shader } = body;
  const count = shader.size(tiles);
  body.line(`let of_digit = i32(workgroup * ${usualWorkgroup}u + local);`);
  body.block(`if (of_digit >= ${shader.size(mulDims(sort.rows, digits))})`, () => body.line('return;'));
  body.line('var total = 0u;');
  body.block(`for (var tile = 0; tile < ${count}; tile++)`, () => {
    const place = word(shader, counts, `of_digit * ${count} + tile`);
    body.line(`let value = ${place};`);
    body.line(`${place} = total;`);
    body.line('total += value;');
  });
  body.line(`${word(shader, totals, 'of_digit')} = total;`);
}

/** A workgroup for each digit of a row goes through the tiles, 256 at a time. */
function writeLongScan(body: Body, { counts, totals, tiles }: Pass): void {
  const { shader } = body;
  const scan = sumBefore(shader);
  const count = shader.size(tiles);
  body.line('var total = 0u;');
  body.block(`for (var begin = 0; begin < ${count}; begin += ${usualWorkgroup})`, () => {
    body.line('let tile = begin + i32(local);');
    const place = `i32(workgroup) * ${count} + tile`;
    body.line('var value = 0u;');
    body.block(`if (tile < ${count})`, () => body.line(`value = ${word(shader, counts, place)};`));
    body.line(`let before = ${scan}(local, value);`);
    body.block(`if (tile < ${count})`, () => body.line(`${word(shader, counts, place)} = total + before;`));
    body.line(`total += running[${usualWorkgroup - 1}];`);
    body.line('workgroupBarrier();');
  });
  body.block('if (local == 0u)', () => body.line(`${word(shader, totals, 'i32(workgroup)')} = total;`));
}

function writeMove(body: Body, pass: Pass): void {
  const { shader } = body;
  const { sort, counts, totals, tiles } = pass;
  const masks = shader.declare('masks', `var<workgroup> masks: array<atomic<u32>, ${(digits * usualWorkgroup) / 32}>;`);
  const places = shader.declare('places', `var<workgroup> places: array<u32, ${digits}>;`);
  const scan = sumBefore(shader);
  writeTile(body, pass);
  body.line(`let of_digit = row * ${digits} + i32(local);`);
  const before = word(shader, counts, `of_digit * ${shader.size(tiles)} + tile`);
  body.line(`places[local] = ${scan}(local, ${word(shader, totals, 'of_digit')}) + ${before};`);
  body.block('for (var part = 0u; part < 8u; part++)', () =>
    body.line(`atomicStore(&${masks}[local * 8u + part], 0u);`),
  );
  body.line('workgroupBarrier();');
  const length = shader.size(sort.length);
  body.line(`let end = min(begin + ${tileElements}, ${length});`);
  body.block(`for (var first = begin; first < end; first += ${usualWorkgroup})`, () => {
    body.line('let at = first + i32(local);');
    body.line('let is_there = at < end;');
    body.block('if (is_there)', () => {
      writeElement(body, pass, false);
      body.line(`atomicOr(&${masks}[digit * 8u + local / 32u], 1u << (local % 32u));`);
    });
    body.line('workgroupBarrier();');
    body.block('if (is_there)', () => {
      writeElement(body, pass, true);
      body.line(`var place = ${places}[digit];`);
      body.block('for (var part = 0u; part < local / 32u; part++)', () =>
        body.line(`place += countOneBits(atomicLoad(&${masks}[digit * 8u + part]));`),
      );
      const own = `atomicLoad(&${masks}[digit * 8u + local / 32u])`;
      body.line(`place += countOneBits(${own} & ((1u << (local % 32u)) - 1u));`);
      writeResult(body, pass);
    });
    body.line('workgroupBarrier();');
    body.block('for (var part = 0u; part < 8u; part++)', () => {
      body.line(`${places}[local] += countOneBits(atomicLoad(&${masks}[local * 8u + part]));`);
      body.line(`atomicStore(&${masks}[local * 8u + part], 0u);`);
    });
    body.line('workgroupBarrier();');
  });
}

/** Stores the element to its `place`. */
function writeResult(body: Body, { sort, to }: Pass): void {
  const { shader } = body;
  const { order, length, count, values, positions } = sort;
  if (to) {
    const place = `row * ${shader.size(length)} + i32(place)`;
    body.line(`${word(shader, to.keys, place)} = key;`);
    if (to.tags !== undefined) body.line(`${word(shader, to.tags, place)} = tag;`);
    return;
  }
  body.block(`if (place < u32(${shader.size(count)}))`, () => {
    if (values !== undefined) {
      body.line(`let sorted = ${valueText(shader, order, 'key', order.isTagged ? 'tag' : undefined)};`);
      body.line(`${wordOfRow(shader, values, 'i32(place)')} = ${wordOf(order.dtype, 'sorted')};`);
    }
    if (positions !== undefined) {
      body.line(`${wordOfRow(shader, positions, 'i32(place)')} = ${positionWord('tag')};`);
    }
  });
}

/**
 * A function that gives each thread the sum of the values of the threads before it, and leaves the sums up to each
 * thread, itself included, in `running`. All threads of the workgroup call it; whoever has read `running` waits for
 * the others before it is called again.
 */
function sumBefore(shader: Shader): string {
  shader.declare('running', `var<workgroup> running: array<u32, ${usualWorkgroup}>;`);
  return shader.helper(
    'sum_before',
    `// The sum of the values of the threads before this one; running[i] is that of threads 0 to i.
fn sum_before(local: u32, value: u32) -> u32 {
  var sum = value;
  running[local] = sum;
  workgroupBarrier();
  for (var distance = 1u; distance < ${usualWorkgroup}u; distance *= 2u) {
    if (local >= distance) {
      sum += running[local - distance];
    }
    workgroupBarrier();
    running[local] = sum;
    workgroupBarrier();
  }
  return sum - value;
}`,
  );
}
