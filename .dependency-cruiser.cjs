const io =
  '(^node:(fs|net|http|https|tls|child_process|dgram|worker_threads)|^(fs|net|http|https|tls|child_process)$|node_modules/(execa|ssh2|fastify|better-sqlite3|kysely|ws|systeminformation)/)';
const only = (name, from, allowed) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: '^(agent|controller|images|test)/', pathNot: allowed },
});
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'nothing-imports-test', severity: 'error', from: { pathNot: '^test/' }, to: { path: '^test/' } },
    only('kit-imports-nothing', '^agent/kit/', '^agent/kit/'),
    only('protocol-imports-kit', '^agent/protocol/', '^agent/(protocol|kit)/'),
    only('guard-imports-kit', '^agent/guard/(?!lease-keeper)', '^agent/(guard|kit)/'),
    only('edge-imports-protocol-and-kit', '^agent/edge/', '^agent/(edge|protocol|kit)/'),
    only('ipv6-imports-network', '^agent/ipv6/', '^agent/(ipv6|network|protocol|kit)/'),
    only('names-imports-kit', '^agent/names/', '^agent/(names|kit|protocol)/'),
    only('agent-never-controller', '^agent/', '^(agent|images)/'),
    only('images-imports-kit', '^images/', '^(images|agent/kit)/'),
    only('packaging-imports-kit', '^controller/packaging/', '^(controller/packaging|agent/kit)/'),
    only('controller-side', '^controller/', '^(controller|images|agent/protocol|agent/kit)/'),
    only('cli-only-client', '^controller/cli/', '^(controller/(cli|client)|agent/kit|agent/protocol)/'),
    {
      name: 'nothing-below-imports-cli',
      severity: 'error',
      from: { pathNot: '^(controller/cli|test)/' },
      to: { path: '^controller/cli/' },
    },
    ...[
      '^controller/(model|scheduler)/',
      '^controller/reconciler/plan',
      '^agent/executor/plan',
      '^agent/guard/decide',
      '^agent/edge/(backend-plan|choose|edge-report|haproxy-configuration|refusals)',
      '^agent/ipv6/(subnets6|radvd-configuration|dhcp6-answer|dhcp6-message)',
      '^agent/doctor/(examine|chains|rules/)',
      '^controller/packaging/deb/(layout|libraries|texts|packages)',
    ].map((path) => ({
      name: 'pure-rooms-do-no-io',
      severity: 'error',
      from: { path },
      to: { path: io },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
};
