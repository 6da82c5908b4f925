/**
 * The rules that keep two ops apart, each with what it says. Refusals name their rule, `explain()` prints it, and
 * `docs/fusion.md` lists them.
 */
export const fusionRules = {
  call: 'What a block that is compiled once reads and writes lies in memory.',
  'code-size': 'A kernel has a bounded number of ops, so that compile time stays proportional to the graph.',
  bindings: 'A kernel has a bounded number of buffers.',
  scatter: 'A scatter writes its result in an order of its own; its readers read memory.',
  'scatter-cost': 'Updates of a scatter apply in order; what is dear to compute is computed beforehand, in parallel.',
  'one-contraction': 'A kernel computes one contraction: its tiles belong to that one.',
  'contraction-in-rows':
    'A contraction is computed inside a row kernel only where it makes scores, of which a row lies in scratch memory.',
  'score-depth': 'Scores that are sums of many products are stored: to compute them again would cost more.',
  'score-row': 'A row of scores lies in scratch memory, which bounds its length.',
  'score-size': 'Scores that are not much beside what they are made of are stored.',
  'score-use': 'Scores are not computed again only to be stored or reduced.',
  'score-cycle': 'Kernels of scores can not wait for each other in a circle.',
  'contraction-epilogue':
    'An epilogue computes one element from one element of the contraction; a reader that repeats, moves in part or reduces elements reads memory.',
  epilogue: 'What a contraction can do to its own result on the way to memory is not left to a kernel that reads it.',
  'operand-cost':
    'Operands of contractions are packed again and again; only what is nearly free is computed on the way.',
  'operand-bytes': 'An operand that would read much more than it yields is stored instead.',
  'operand-of-producer':
    'An operation on a value that is stored nowhere else goes with the kernel that makes the value.',
  'reduction-in-contraction': 'A reduction is not computed inside a contraction or scatter.',
  'reduction-in-concatenate': 'A concatenation is written part by part, each with loops of its own.',
  'reduction-index': 'A reduction is computed once for a row; a reader that looks at other rows reads memory.',
  'nested-reduction':
    'A reduction inside another runs on one thread, and only where it takes little time and repeats nothing.',
  'whole-reduction':
    'A reduction of a whole array, or of few long rows, is done in pieces at once; with what follows it, it would run on one thread or few, which is for small arrays.',
  'strided-rows':
    'Rows that jump through memory are reduced side by side, one in each lane; large ones with few neighbours are reduced in a kernel of their own.',
  'other-rows': 'All reductions of a kernel run over the same rows.',
  'window-epilogue': 'A window is computed once for each result; a reader that repeats elements reads memory.',
  recomputation: 'Work that would be repeated must cost less than a launch and the traffic it saves.',
  'left-out': 'A compile was told to do without a kind of fusion, to see what it is worth.',
  'stored-once': 'A value that several kernels need, and that is not cheap, is computed once and stored.',
} as const;

export type FusionRule = keyof typeof fusionRules;
