/** Before each test file of the project `threads`: launches are shared by threads, however short they are. */
import { costModel } from '../runtime/wasm/cost.ts';

Object.assign(costModel, { leastMicroseconds: 0, grainMicroseconds: 0, wakeMicroseconds: 0 });
