// Mocha's usual report, and the counts and failures as JSON in the file that $MOCHA_COUNTS names.

const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class CountingReporter extends reporters.Spec {
  /**
   * @param {Mocha.Runner} runner
   * @param {Mocha.MochaOptions} options
   */
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes, failures: failed, pending } = this.stats;
      const failures = this.failures.map((test) => `${test.fullTitle()}: ${inOneLine(test.err?.message)}`);
      const file = process.env.MOCHA_COUNTS;
      if (file) writeFileSync(file, JSON.stringify({ passed: passes, failed, skipped: pending, failures }));
    });
  }
};

/**
 * The first words of a message: of two values that should be equal, the values too.
 * @param {string | undefined} message
 */
function inOneLine(message = '') {
  return message.replaceAll(/\s+/g, ' ').slice(0, 300);
}
