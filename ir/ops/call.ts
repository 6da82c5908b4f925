/**
 * `call` runs another function of the module.
 *
 *     %y: f32[8,4] = call %x, %w {function=@layer}
 *
 * Functions do not recurse: a module lists callees before their callers. Symbols of sizes mean the same in all
 * functions of a module.
 */
import { equalShapes } from '../../base/dim.ts';
import { define, violate } from './definition.ts';
import { formatTypes } from './rules.ts';

export const callDefinition = define({
  opcode: 'call',
  summary: 'Runs another function of the module on the operands.',
  source: 'StableHLO func.call',
  operands: ['...operands'],
  attributes: { function: 'function' },
  traits: {},
  constraints: {
    call_c1: 'function names a function that is defined before',
    call_c2: 'operands have the types of the parameters of the function',
  },
  infer: (operands, { function: name }, { functions }) => {
    const callee = functions.get(name);
    if (!callee) violate('call_c1', 'invalid_argument', `@${name}`);
    const parameters = callee.graph.parameters.map((parameter) => parameter.type);
    const fits =
      operands.length === parameters.length &&
      operands.every(({ dtype, shape }, i) => dtype === parameters[i].dtype && equalShapes(shape, parameters[i].shape));
    if (!fits) {
      violate('call_c2', 'shape_mismatch', `(${formatTypes(operands)}) for @${name}(${formatTypes(parameters)})`);
    }
    return callee.graph.results.map((result) => result.type);
  },
  evaluate: (operands, { function: name }, { call }) => call(name, operands),
});
