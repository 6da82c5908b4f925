/**
 * Loads Binaryen before tsx is registered: tsx rewrites every module it sees, and takes seconds for that one. Later
 * imports meet the module that is already there. Only for running from TypeScript sources.
 */
await import('binaryen');
