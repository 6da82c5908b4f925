/**
 * Ends a run with one plain line, `123 passed, 0 failed, 2 skipped`, after a list of the skipped tests with their
 * reasons: a test is skipped with `context.skip(reason)`, and one without a reason fails the run.
 */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const skipped: TestCase[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state]++;
        if (state === 'skipped') skipped.push(test);
      }
    }
    for (const test of skipped) {
      const result = test.result();
      const reason = result.state === 'skipped' ? result.note : undefined;
      console.log(`skipped: ${test.fullName}: ${reason ?? 'WITHOUT A REASON'}`);
      if (!reason) {
        counts.failed++;
        process.exitCode = 1;
      }
    }
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
}
