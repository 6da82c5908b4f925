/** Made with the bundle (`test/support/browser-suites.ts`): imports of the test files that it holds. */
declare module 'test-files' {
  const files: Readonly<Record<string, () => Promise<unknown>>>;
  export default files;
}
