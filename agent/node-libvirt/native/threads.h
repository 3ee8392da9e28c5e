#pragma once

#include <pthread.h>
#include <signal.h>

#include <functional>
#include <thread>

namespace weft {

inline void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

/** A detached thread that takes no signals: those are for Node's main thread. @throws std::system_error. */
template <typename Body>
void SpawnDetached(Body body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(std::move(body)).detach();
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace weft
