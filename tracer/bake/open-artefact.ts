/** An artefact that lies in memory as a whole, with every hash checked: for the tools. Loaders read as bytes arrive. */
import { corrupt } from '../../runtime/artefact/container.ts';
import { readArtefact } from '../../runtime/artefact/read-artefact.ts';
import type { ArtefactContent } from '../../runtime/artefact/records.ts';
import { hashedNow, readWhole, type WholeContainer } from '../../runtime/artefact/whole-container.ts';

export interface OpenArtefact extends WholeContainer {
  readonly content: ArtefactContent;
}

/** @throws KilnError `not_an_artefact`, `truncated_artefact`, `unsupported_version`, `corrupt_artefact` */
export function openArtefact(bytes: Uint8Array): OpenArtefact {
  const { preamble, header, blobs } = hashedNow(readWhole(bytes));
  const content = readArtefact(header.content, blobs.length);
  assertSchedules(content.schedules);
  return { preamble, header, content, blobs };
}

/** What no loader looks at. */
function assertSchedules(schedules: unknown): void {
  const isPair = (entry: unknown): boolean =>
    Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === 'string');
  if (schedules !== undefined && !(Array.isArray(schedules) && schedules.every(isPair))) {
    throw corrupt('schedules that are none');
  }
}
