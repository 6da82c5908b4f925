/** The runtime with all its parts at hand (`parts.ts`), and the wasm device known, so that nothing waits for code. */
import { planArena } from '../base/arena.ts';
import { bindSymbols } from './bind-symbols.ts';
import * as debugging from './debugging.ts';
import * as donation from './donation.ts';
import { provideParts } from './parts.ts';
import * as prepared from './prepared.ts';
import * as queue from './tasks.ts';
import * as relaxedSimd from './wasm/relaxed-simd.ts';
import * as sharing from './wasm/sharing.ts';
import { tryPrograms } from './wasm/trial.ts';
import { LaunchTimer } from './webgpu/timing.ts';
import './wasm/complete.ts';

provideParts({
  bindSymbols,
  donation,
  queue,
  prepared,
  launchTimer: LaunchTimer,
  debugging,
  sharing,
  relaxedSimd,
  planArena,
  tryPrograms,
});
