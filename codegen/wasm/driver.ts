/**
 * The driver: a WASM module that runs the launches of a program in one call from JavaScript, and shares the tiles of
 * long launches with worker threads. The runtime ships it as bytes (`runtime/wasm/driver-code.ts`, written by
 * `scripts/build-driver.ts`), since it runs programs without Binaryen.
 *
 * A phase that is worth it is a round. The caller describes the round, opens the gate, lets the epoch go up, takes
 * tiles like everybody else, closes the gate and waits until nobody is inside:
 *
 *     gate:   closed, 0 inside  →  0 inside  →  2 inside  →  closed, 1 inside  →  closed, 0 inside
 *     next:   0, 4, 8, …           whoever adds the grain to it has these tiles
 *
 * A worker counts itself in while the gate is open, which keeps the description as it is until it counts itself out.
 * One that comes late, lacks the kernel or does not see all of the memory yet is not waited for. Between rounds it
 * looks at the epoch for a while, then sleeps on it. Sequentially consistent atomics order everything else: the
 * description is written before the gate opens and read behind it, results are written before a worker counts itself
 * out and read after the caller has seen that.
 */
import { control } from '../../runtime/wasm/control-block.ts';
import { launchLayout, launchModes } from '../../runtime/wasm/launch-layout.ts';
import type { Binaryen } from './math/emitter.ts';

/** How often an idle worker looks for work before it sleeps: some 80 µs. */
const workerSpins = 100_000;
/**
 * How often the caller looks whether the last workers are done before it sleeps: some 25 µs, as long as sleeping takes.
 */
const callerSpins = 30_000;
/** The sign bit. */
const closed = '(i32.const 0x80000000)';

const { kernel, record, tiles, mode, size, scratchWord, stride, copy, wakes, phaseCount, phases } = launchLayout;

const at = (address: number): string => `(i32.const ${address})`;
const word = (address: number): string => `(i32.load ${at(address)})`;
const atomic = (address: number): string => `(i32.atomic.load ${at(address)})`;
const field = (offset: number): string => `(i32.load offset=${offset} (local.get $launch))`;

/** The parts that every driver has: the list of launches. */
const runText = `
  (global $step (export "step") (mut i32) (i32.const 0))

  ;; Runs \`count\` launches, the first of which is at \`launch\`. The global says which one runs.
  (func (export "run") (param $launch i32) (param $count i32)
    (local $step i32) (local $mode i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $step) (local.get $count)))
        (global.set $step (local.get $step))
        (local.set $mode ${field(mode)})
        (if (i32.eq (local.get $mode) (i32.const ${launchModes.whole}))
          (then (call $whole (local.get $launch)))
          (else (if (i32.eq (local.get $mode) (i32.const ${launchModes.ask}))
            (then (call $ask (local.get $launch)))
            (else (call $launch (local.get $launch))))))
        (local.set $launch (i32.add (local.get $launch) ${field(size)}))
        (local.set $step (i32.add (local.get $step) (i32.const 1)))
        (br $next))))

  (func $whole (param $launch i32)
    (if ${field(tiles)}
      (then (call_indirect (type $kernel) ${field(record)} (i32.const 0) ${field(tiles)} ${field(kernel)}))))`;

/** One thread: phases need no rounds. */
const aloneText = `
  (func $launch (export "launch") (param $launch i32) (call $whole (local.get $launch)))`;

const callerText = `
  ;; Runs one launch, phase by phase.
  (func $launch (export "launch") (param $launch i32)
    (local $phase i32) (local $last i32) (local $base i32) (local $end i32)
    (local.set $phase (i32.add (local.get $launch) (i32.const ${phases})))
    (local.set $last (i32.add (local.get $phase) (i32.shl ${field(phaseCount)} (i32.const 3))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $phase) (local.get $last)))
        (local.set $end (i32.add (local.get $base) (i32.load (local.get $phase))))
        (if (i32.load offset=4 (local.get $phase))
          (then (call $round (local.get $launch) (local.get $base) (local.get $end)
            (i32.load offset=4 (local.get $phase))))
          (else (if (i32.ne (local.get $base) (local.get $end))
            (then (call_indirect (type $kernel)
              ${field(record)} (local.get $base) (local.get $end) ${field(kernel)})))))
        (local.set $base (local.get $end))
        (local.set $phase (i32.add (local.get $phase) (i32.const 8)))
        (br $next))))

  ;; Does the tiles from \`base\` to \`end\` together with whoever comes.
  (func $round (param $launch i32) (param $base i32) (param $end i32) (param $grain i32)
    (i32.store ${at(control.end)} (local.get $end))
    (i32.store ${at(control.grain)} (local.get $grain))
    (i32.store ${at(control.kernel)} ${field(kernel)})
    (i32.store ${at(control.record)} ${field(record)})
    (i32.store ${at(control.scratchWord)} ${field(scratchWord)})
    (i32.store ${at(control.stride)} ${field(stride)})
    (i32.store ${at(control.copy)} ${field(copy)})
    (i32.store ${at(control.pages)} (memory.size))
    (i32.atomic.store ${at(control.next)} (local.get $base))
    (i32.atomic.store ${at(control.gate)} (i32.const 0))
    (drop (i32.atomic.rmw.add ${at(control.epoch)} (i32.const 1)))
    ;; A worker that falls asleep now finds that the epoch has changed.
    (if (i32.and ${field(wakes)} (i32.ne ${atomic(control.sleepers)} (i32.const 0)))
      (then (drop (memory.atomic.notify ${at(control.epoch)}
        (i32.div_u (i32.sub (local.get $end) (local.get $base)) (local.get $grain))))))
    (call $takeTiles ${field(kernel)} ${field(record)})
    (call $close)
    (if ${word(control.failed)}
      (then
        (i32.store ${at(control.failed)} (i32.const 0))
        (call $failed))))

  ;; Ends a round that the caller's own kernel has failed in. Nothing happens when there is none.
  (func (export "abandon")
    (if (i32.ge_s ${atomic(control.gate)} (i32.const 0))
      (then
        (i32.atomic.store ${at(control.next)} ${word(control.end)})
        (call $close)
        (i32.store ${at(control.failed)} (i32.const 0)))))

  ;; Closes the gate and waits until nobody is inside.
  (func $close
    (local $gate i32) (local $spins i32)
    (local.set $gate (i32.or ${closed} (i32.atomic.rmw.or ${at(control.gate)} ${closed})))
    (local.set $spins (i32.const ${callerSpins}))
    (block $empty
      (loop $look
        (br_if $empty (i32.eq (local.get $gate) ${closed}))
        (if (local.get $spins)
          (then (local.set $spins (i32.sub (local.get $spins) (i32.const 1))))
          (else (if ${word(control.mayWait)}
            (then (drop (memory.atomic.wait32 ${at(control.gate)} (local.get $gate) (i64.const -1)))))))
        (local.set $gate ${atomic(control.gate)})
        (br $look))))`;

const workerText = `
  (global $inside (mut i32) (i32.const 0))
  ;; The epoch of the round that this worker has taken part in.
  (global $joined (mut i32) (i32.const 0))

  ;; Takes part in rounds until a message has come that is not among the \`received\` ones. \`index\` is the worker's
  ;; number, from 1.
  (func (export "work") (param $received i32) (param $index i32)
    (local $epoch i32) (local $gate i32) (local $spins i32)
    (loop $again
      (if (i32.ne ${atomic(control.mail)} (local.get $received)) (then (return)))
      (local.set $epoch ${atomic(control.epoch)})
      (local.set $gate ${atomic(control.gate)})
      (if (i32.and (i32.ge_s (local.get $gate) (i32.const 0)) (i32.ne (local.get $epoch) (global.get $joined)))
        (then
          (if (i32.eq (local.get $gate) (i32.atomic.rmw.cmpxchg ${at(control.gate)}
                (local.get $gate) (i32.add (local.get $gate) (i32.const 1))))
            (then
              (global.set $joined ${atomic(control.epoch)})
              (global.set $inside (i32.const 1))
              ;; Engines may tell a thread late that another one has let the memory grow.
              (if (i32.and (i32.ge_u (memory.size) ${word(control.pages)}) (call $knows ${word(control.kernel)}))
                (then (call $takeTiles ${word(control.kernel)} (call $ownRecord (local.get $index)))))
              (call $leave)))
          (br $again)))
      (local.set $spins (i32.const ${workerSpins}))
      (loop $spin
        (br_if $again (i32.ne ${atomic(control.epoch)} (local.get $epoch)))
        (br_if $spin (local.tee $spins (i32.sub (local.get $spins) (i32.const 1)))))
      (drop (i32.atomic.rmw.add ${at(control.sleepers)} (i32.const 1)))
      (drop (memory.atomic.wait32 ${at(control.epoch)} (local.get $epoch) (i64.const -1)))
      (drop (i32.atomic.rmw.sub ${at(control.sleepers)} (i32.const 1)))
      (br $again)))

  (func $knows (param $kernel i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $kernel) (table.size $table))
      (then (i32.eqz (ref.is_null (table.get $table (local.get $kernel)))))
      (else (i32.const 0))))

  ;; The record as this worker may use it: with scratch memory of its own.
  (func $ownRecord (param $index i32) (result i32)
    (local $scratch i32) (local $record i32) (local $at i32)
    (local.set $at (i32.shl ${word(control.scratchWord)} (i32.const 2)))
    (if (i32.eqz (local.get $at)) (then (return ${word(control.record)})))
    (local.set $scratch (i32.add
      (i32.load (i32.add ${word(control.record)} (local.get $at)))
      (i32.mul ${word(control.stride)} (local.get $index))))
    (local.set $record (i32.add (local.get $scratch) ${word(control.copy)}))
    (memory.copy (local.get $record) ${word(control.record)} (i32.add (local.get $at) (i32.const 8)))
    (i32.store (i32.add (local.get $record) (local.get $at)) (local.get $scratch))
    (local.get $record))

  ;; Counts the worker out; the last one wakes a caller that waits.
  (func $leave
    (global.set $inside (i32.const 0))
    (if (i32.eq (i32.atomic.rmw.sub ${at(control.gate)} (i32.const 1)) (i32.add ${closed} (i32.const 1)))
      (then (drop (memory.atomic.notify ${at(control.gate)} (i32.const 1))))))

  ;; After \`work\` has thrown: the round ends early, and fails.
  (func (export "fail")
    (if (global.get $inside)
      (then
        (i32.store ${at(control.failed)} (i32.const 1))
        (i32.atomic.store ${at(control.next)} ${word(control.end)})
        (call $leave))))

  (func $takeTiles (param $kernel i32) (param $record i32)
    (local $tile i32) (local $end i32) (local $grain i32) (local $to i32)
    (local.set $end ${word(control.end)})
    (local.set $grain ${word(control.grain)})
    (block $done
      (loop $more
        (local.set $tile (i32.atomic.rmw.add ${at(control.next)} (local.get $grain)))
        (br_if $done (i32.ge_u (local.get $tile) (local.get $end)))
        (local.set $to (i32.add (local.get $tile) (local.get $grain)))
        (if (i32.gt_u (local.get $to) (local.get $end)) (then (local.set $to (local.get $end))))
        (call_indirect (type $kernel) (local.get $record) (local.get $tile) (local.get $to) (local.get $kernel))
        (br $more))))`;

/** The driver as WebAssembly text, for shared memory or not. */
export function driverText(shared: boolean): string {
  const memory = shared ? '(memory 1 65536 shared)' : '(memory 0)';
  return `(module
  (type $kernel (func (param $record i32) (param $begin i32) (param $end i32)))
  (import "kiln" "memory" ${memory})
  (import "kiln" "table" (table $table 0 funcref))
  ;; Launches one of a kernel that is new, or one that the pool should have started for.
  (import "kiln" "ask" (func $ask (param $launch i32)))
  ${shared ? '(import "kiln" "failed" (func $failed))' : ''}
  ${runText}
  ${shared ? callerText + workerText : aloneText}
)`;
}

/** The driver as bytes. */
export function buildDriver(binaryen: Binaryen, shared: boolean): Uint8Array {
  const module = binaryen.parseText(driverText(shared));
  const { BulkMemory, BulkMemoryOpt, MutableGlobals, ReferenceTypes, Atomics: atomics } = binaryen.Features;
  module.setFeatures(BulkMemory | BulkMemoryOpt | MutableGlobals | ReferenceTypes | (shared ? atomics : 0));
  if (!module.validate()) throw new Error('the driver is no valid module');
  module.optimize();
  const code = module.emitBinary();
  module.dispose();
  return code;
}
