{
  'targets': [{
    'target_name': 'node_libvirt',
    'sources': [
      'native/addon.cc',
      'native/channel.cc',
      'native/connection.cc',
      'native/domain.cc',
      'native/domain-devices.cc',
      'native/domain-jobs.cc',
      'native/domain-lifecycle.cc',
      'native/errors.cc',
      'native/event-loop.cc',
      'native/events.cc',
      'native/handles.cc',
      'native/network.cc',
      'native/poll-source-guard.cc',
      'native/secret.cc',
      'native/stream.cc',
      'native/typed-parameters.cc',
      'native/value.cc',
      'native/worker-pool.cc',
    ],
    'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
    # A Worker that is terminated refuses every call into JavaScript; the last define makes that no fatal error.
    'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
    'cflags_cc': ['-std=c++17', '-fexceptions', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wno-unused-parameter'],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
    'cflags': ['<!@(pkg-config --cflags libvirt libvirt-qemu)'],
    # The event thread runs for as long as the process: a Worker that ends must not unmap its code.
    'ldflags': ['-Wl,-z,nodelete'],
    'libraries': ['<!@(pkg-config --libs libvirt libvirt-qemu)'],
  }],
}
