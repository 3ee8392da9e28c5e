import { relative } from 'node:path';

/** As much as is read of what vitest's JSON reporter writes. */
export interface VitestReport {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly numPendingTests?: number;
  readonly testResults?: readonly {
    /** Absolute path of the file. */
    readonly name: string;
    readonly status: string;
    /** Why the file as a whole failed, such as an import or a hook; empty otherwise. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** A line for each test that failed, and for each file that did so by itself: its path below `root`, its name, the first line of why. */
export function failuresOf(report: VitestReport, root: string): readonly string[] {
  return (report.testResults ?? []).flatMap((file) => {
    const path = relative(root, file.name);
    const failed = file.assertionResults.filter((each) => each.status === 'failed');
    if (failed.length === 0) return file.status === 'failed' ? [`${path}: ${firstLine(file.message)}`] : [];
    return failed.map((each) => `${path}: ${each.fullName}: ${firstLine(each.failureMessages[0] ?? '')}`);
  });
}

/** A line for each test that was passed over: its path below `root`, and its name, which says why. */
export function skippedOf(report: VitestReport, root: string): readonly string[] {
  return (report.testResults ?? []).flatMap((file) =>
    file.assertionResults
      .filter(({ status }) => status === 'skipped' || status === 'pending' || status === 'todo')
      .map(({ fullName }) => `${relative(root, file.name)}: ${fullName}`),
  );
}

const firstLine = (text: string) => text.split('\n', 1)[0] ?? '';
