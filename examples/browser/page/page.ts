/**
 * The page: it starts the trainer, in this thread or in a Web Worker, and shows what the trainer tells. All of Kiln is
 * in the trainer, which is loaded when it is first needed; here are only messages, numbers and drawings.
 *
 *     ?device=webgpu&worker&compile&steps=200      what to begin with
 */
import type { About, DeviceName, Message, Request, Result } from '../protocol.ts';
import { KernelList, timeText } from './kernel-list.ts';
import { LossCurve } from './loss-curve.ts';
import { Picture } from './picture.ts';

const byId = <E extends HTMLElement = HTMLElement>(id: string): E => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as E;
};

const form = byId<HTMLFormElement>('controls');
const [runButton, notice] = [byId<HTMLButtonElement>('run'), byId('notice')];
const input = (name: string): HTMLInputElement => form.elements.namedItem(name) as HTMLInputElement;
const picture = new Picture(byId<HTMLCanvasElement>('picture'));
const curve = new LossCurve(byId('loss'));
const kernels = new KernelList(byId('kernels'), byId('kernels-summary'), () => trainer?.post({ type: 'code' }));

/** Where the trainer runs. */
interface Trainer {
  readonly isWorker: boolean;
  post(request: Request): void;
  end(): void;
}

let trainer: Trainer | undefined;
let isRunning = false;
/** Counts runs, so that late messages of one that was stopped are not taken for those of the next. */
let currentRun = 0;

/** What the module of the trainer exports. */
interface TrainerModule {
  serve(port: MessagePort): void;
}

const trainerUrl = new URL('./trainer.js', import.meta.url);

async function startTrainer(isWorker: boolean): Promise<Trainer> {
  if (isWorker) {
    const worker = new Worker(trainerUrl, { type: 'module', name: 'trainer' });
    worker.onmessage = ({ data }: MessageEvent<Message>) => receive(data);
    worker.onerror = ({ message }) => fail('The worker could not be started', message);
    return { isWorker, post: (request) => worker.postMessage(request), end: () => worker.terminate() };
  }
  const { serve } = (await import(trainerUrl.href)) as TrainerModule;
  const { port1, port2 } = new MessageChannel();
  serve(port1);
  port2.onmessage = ({ data }: MessageEvent<Message>) => receive(data);
  return { isWorker, post: (request) => port2.postMessage(request), end: () => port2.close() };
}

function receive({ run, answer }: Message): void {
  if (run !== currentRun) return;
  switch (answer.type) {
    case 'started':
      showAbout(answer.about);
      picture.start(answer.data);
      byId('legend').replaceChildren(
        ...Array.from({ length: answer.data.classes }, (_, i) =>
          Object.assign(document.createElement('li'), { textContent: `Spiral ${i + 1}` }),
        ),
      );
      kernels.show(answer.kernels, true);
      break;
    case 'progress': {
      curve.add([...answer.losses]);
      const last = answer.losses.at(-1);
      if (last) [byId('tile-step').textContent, byId('tile-loss').textContent] = [String(last[0]), last[1].toFixed(4)];
      showPace(answer.stepMilliseconds);
      break;
    }
    case 'picture':
      picture.show(answer.odds, answer.grid, answer.accuracy);
      byId('tile-accuracy').textContent = percent(answer.accuracy);
      break;
    case 'done':
      kernels.show(answer.kernels, false);
      addRun(answer.result);
      setRunning(false);
      break;
    case 'failed':
      fail(answer.title, answer.message);
      break;
    case 'code':
      kernels.showCode(answer.code);
      break;
  }
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

function showPace(stepMilliseconds: number): void {
  byId('tile-time').textContent = timeText(stepMilliseconds);
  byId('tile-rate').textContent = (1000 / stepMilliseconds).toFixed(0);
}

function showAbout({ device, tier, hardware, isBaked, startMilliseconds, parameters }: About): void {
  byId('tile-start').textContent = `${startMilliseconds.toFixed(0)} ms`;
  byId('tile-start-title').textContent = isBaked ? 'Loaded in' : 'Compiled in';
  const place = trainer?.isWorker ? 'in a Web Worker' : 'in the page’s own thread';
  const where = device === 'webgpu' ? `WebGPU on ${hardware}` : `WebAssembly on a machine of ${hardware}`;
  const threads = crossOriginIsolated
    ? 'The page is cross-origin isolated, so threads may share memory.'
    : 'The page is not cross-origin isolated, so it runs on one thread.';
  byId('about').textContent =
    `${where}, ${place}. Code for ${tier}, ${isBaked ? 'compiled when the page was built' : 'compiled here'}; ${parameters.toLocaleString('en')} parameters. ${device === 'wasm' ? threads : ''}`;
}

/** A row for a finished run. */
function addRun({ device, steps, loss, accuracy, stepMilliseconds, isBaked, startMilliseconds }: Result): void {
  const table = byId('runs');
  table.querySelector('.empty')?.remove();
  const cells = [
    device === 'wasm' ? 'WASM' : 'WebGPU',
    trainer?.isWorker ? 'worker' : 'page',
    String(steps),
    loss.toFixed(6),
    percent(accuracy),
    stepMilliseconds.toFixed(2),
    (1000 / stepMilliseconds).toFixed(0),
    `${isBaked ? 'loaded' : 'compiled'} in ${startMilliseconds.toFixed(0)} ms`,
  ];
  const row = document.createElement('tr');
  row.append(...cells.map((text) => Object.assign(document.createElement('td'), { textContent: text })));
  Object.assign(row.dataset, { device, loss: String(loss) });
  table.prepend(row);
}

function tell(text: string, kind: 'note' | 'error' = 'note'): void {
  notice.textContent = text;
  notice.dataset.kind = kind;
  notice.hidden = text === '';
}

function fail(title: string, message: string): void {
  tell(message.startsWith(title) ? message : `${title}\n${message}`, 'error');
  setRunning(false);
}

function setRunning(running: boolean): void {
  isRunning = running;
  runButton.textContent = running ? 'Stop' : 'Train';
  document.body.dataset.state = running ? 'running' : 'idle';
}

async function train(): Promise<void> {
  const device: DeviceName = input('device').value === 'webgpu' ? 'webgpu' : 'wasm';
  const [isWorker, compiles, steps] = [input('worker').checked, input('compile').checked, input('steps').valueAsNumber];
  setRunning(true);
  tell('');
  for (const id of ['loss', 'accuracy', 'step', 'time', 'rate', 'start']) byId(`tile-${id}`).textContent = '–';
  byId('about').textContent = compiles ? 'Compiling …' : 'Loading …';
  curve.start(device, steps);
  currentRun++;
  try {
    if (trainer && trainer.isWorker !== isWorker) {
      trainer.end();
      trainer = undefined;
    }
    trainer ??= await startTrainer(isWorker);
    trainer.post({ type: 'train', run: currentRun, device, steps, compiles });
  } catch (error) {
    fail('The trainer could not be loaded', String(error));
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (!isRunning) return void train();
  trainer?.post({ type: 'stop' });
  setRunning(false);
});

/** Why WebGPU can not be used here; `undefined` where it can. */
async function whyNoWebgpu(): Promise<string | undefined> {
  if (!isSecureContext) return 'WebGPU is only there on pages that are served over https or from localhost.';
  if (!navigator.gpu) return 'This browser has no WebGPU. Current versions of Chrome, Edge, Safari and Firefox do.';
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  return adapter
    ? undefined
    : 'This browser has WebGPU, but found no graphics adapter that it may use (chrome://gpu says why).';
}

async function start(): Promise<void> {
  const wanted = new URLSearchParams(location.search);
  if (wanted.has('steps')) input('steps').value = wanted.get('steps') ?? '';
  input('worker').checked = wanted.has('worker');
  input('compile').checked = wanted.has('compile');
  const reason = await whyNoWebgpu();
  const choice = form.querySelector<HTMLInputElement>('input[value=webgpu]');
  if (choice) {
    choice.disabled = reason !== undefined;
    choice.checked = wanted.get('device') === 'webgpu' && !choice.disabled;
  }
  await train();
  if (reason) tell(reason);
}

await start();
