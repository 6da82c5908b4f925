/**
 * `kilnjs/runtime` in Node, where files are at hand: what the wasm device consists of, and what reads and checks files,
 * is loaded with the loader, side by side, so that `load` waits for no module. Pages have `index.ts`, which loads what an
 * artefact needs, and do without the user's lines in errors and without flags.
 */
import 'node:crypto';
import 'node:fs/promises';
import '../base/arena.ts';
import '../base/location.ts';
import './load/file-source.ts';
import './load/share-memory.ts';
import './bind-symbols.ts';
import './donation.ts';
import './prepared.ts';
import './wasm/features.ts';
import './wasm/register.ts';
import './wasm/relaxed-simd.ts';
import './wasm/sharing.ts';

import * as debugging from './debugging.ts';
import { provideParts } from './parts.ts';

provideParts({ debugging });

export * from './index.ts';
