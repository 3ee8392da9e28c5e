/** One hand-over: of a machine, to the incarnation that it is on the host that it goes to. */
export const keyOf = ({ id, incarnation }: { readonly id: string; readonly incarnation: number }) =>
  `${id}@${incarnation}`;
