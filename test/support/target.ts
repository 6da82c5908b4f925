/** Which device the tests of a run are about: `KILN_DEVICE`, as for users. The project `webgpu` sets it. */
export const isOnWebgpu = process.env.KILN_DEVICE === 'webgpu';
