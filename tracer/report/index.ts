/** What is loaded when the first report is made. */
import type { LaunchTimings, ReportData } from './data.ts';
import { loadLayout } from './layout.ts';
import { renderPage } from './page.ts';
import { withSources } from './sources.ts';

/** The data with the user's lines, as far as they can be read. */
export const withReadSources = (data: ReportData): ReportData => ({ ...data, places: withSources(data.places) });

/** The page as HTML. */
export async function drawPage(data: ReportData, timings?: LaunchTimings): Promise<string> {
  await loadLayout();
  return renderPage(data, timings);
}
