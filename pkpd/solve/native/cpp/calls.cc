// XLA's side of native code, compiled once for all models: its four entry points look a model up by name and hand it plain arrays.
#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include "xla/ffi/api/ffi.h"
#include "abi.h"

namespace {
namespace ffi = xla::ffi;
using Real = ffi::Buffer<ffi::F64>;
using Whole = ffi::Buffer<ffi::S32>;
using RealOut = ffi::ResultBuffer<ffi::F64>;
using WholeOut = ffi::ResultBuffer<ffi::S32>;
using Ticket = ffi::Buffer<ffi::S64>;
using TicketOut = ffi::ResultBuffer<ffi::S64>;

struct Models {
  std::mutex lock;
  std::unordered_map<std::string, const Model *> known;
  static Models &all() {
    static Models *models = new Models;
    return *models;
  }
};
const Model *find(std::string_view name) {
  static thread_local std::unordered_map<std::string_view, const Model *> seen;
  auto it = seen.find(name);
  if (it != seen.end()) return it->second;
  std::lock_guard<std::mutex> hold(Models::all().lock);
  auto known = Models::all().known.find(std::string(name));
  if (known == Models::all().known.end()) return nullptr;
  seen[known->first] = known->second;
  return known->second;
}
ffi::Error unknown(std::string_view name) {
  return ffi::Error(ffi::ErrorCode::kNotFound, "pkpd: the machine code '" + std::string(name) + "' is not loaded in this process");
}

// `work` on this thread and on up to threads - 1 helpers; a helper that comes after this thread is done does nothing.
void together(void *owner, int64_t threads, void (*work)(void *), void *what) {
  struct Shared {
    std::mutex lock;
    std::condition_variable idle;
    int running = 0;
    bool closed = false;
  };
  auto shared = std::make_shared<Shared>();
  for (int64_t i = 1; i < threads; i++)
    static_cast<ffi::ThreadPool *>(owner)->Schedule([shared, work, what] {
      {
        std::lock_guard<std::mutex> hold(shared->lock);
        if (shared->closed) return;
        shared->running++;
      }
      work(what);
      std::lock_guard<std::mutex> hold(shared->lock);
      shared->running--;
      shared->idle.notify_all();
    });
  work(what);
  std::unique_lock<std::mutex> hold(shared->lock);
  shared->closed = true;
  shared->idle.wait(hold, [&] { return shared->running == 0; });
}
Pool lent(ffi::ThreadPool &pool) { return {&pool, pool.num_threads(), together}; }

#define PKPD_CONST ffi::ThreadPool pool, std::string_view model, double rtol, int64_t max_steps, int64_t threads, int64_t asked, Real atol, \
  Real reset, Real clear, Whole segment
#define PKPD_GIVEN(x) Real x##edges, Real x##jump, Real x##rate, Real x##y0, Real x##p, Real x##q, Real x##times
#define PKPD_ARGUMENTS(x)                                                                                                           \
  Arguments {                                                                                                                       \
    y0.dimensions()[1], rate.dimensions()[0], times.dimensions()[0], x##edges.typed_data(), x##jump.typed_data(),                   \
        x##rate.typed_data(), reset.typed_data(), clear.typed_data(), x##y0.typed_data(), x##p.typed_data(), x##q.typed_data(),     \
        x##times.typed_data(), atol.typed_data(), segment.typed_data(), rtol, max_steps, threads, asked                             \
  }

ffi::Error solve(PKPD_CONST, PKPD_GIVEN(), RealOut y, WholeOut status, WholeOut steps) {
  const Model *m = find(model);
  if (!m) return unknown(model);
  m->solve(PKPD_ARGUMENTS(), lent(pool), y->typed_data(), status->typed_data(), steps->typed_data(), nullptr);
  return ffi::Error::Success();
}

ffi::Error record(PKPD_CONST, PKPD_GIVEN(), RealOut y, WholeOut status, WholeOut steps, TicketOut ticket) {
  const Model *m = find(model);
  if (!m) return unknown(model);
  m->solve(PKPD_ARGUMENTS(), lent(pool), y->typed_data(), status->typed_data(), steps->typed_data(), ticket->typed_data());
  return ffi::Error::Success();
}

ffi::Error pull(PKPD_CONST, PKPD_GIVEN(), Ticket ticket, Real weight, RealOut gedges, RealOut gjump, RealOut grate, RealOut gy0, RealOut gp,
                RealOut gq, RealOut gtimes) {
  const Model *m = find(model);
  if (!m) return unknown(model);
  for (RealOut *x : {&gedges, &gjump, &grate, &gy0, &gp, &gq, &gtimes}) std::fill_n((*x)->typed_data(), (*x)->element_count(), 0.0);
  m->pull(PKPD_ARGUMENTS(), lent(pool), ticket.typed_data(),
          Gradient{weight.typed_data(), gedges->typed_data(), gjump->typed_data(), grate->typed_data(), gy0->typed_data(),
                   gp->typed_data(), gq->typed_data(), gtimes->typed_data()});
  return ffi::Error::Success();
}

ffi::Error push(PKPD_CONST, PKPD_GIVEN(), Ticket ticket, PKPD_GIVEN(d), RealOut dy) {
  const Model *m = find(model);
  if (!m) return unknown(model);
  m->push(PKPD_ARGUMENTS(), PKPD_ARGUMENTS(d), lent(pool), ticket.typed_data(), dy->typed_data());
  return ffi::Error::Success();
}

}  // namespace

extern "C" void pkpd_know(const char *name, const void *model) {
  std::lock_guard<std::mutex> hold(Models::all().lock);
  Models::all().known[name] = static_cast<const Model *>(model);
}

#define PKPD_BIND_CONST                                                                                                            \
  ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Attr<std::string_view>("model").Attr<double>("rtol").Attr<int64_t>("max_steps")          \
      .Attr<int64_t>("threads").Attr<int64_t>("asked").Arg<Real>().Arg<Real>().Arg<Real>().Arg<Whole>()
#define PKPD_BIND_GIVEN Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>().Arg<Real>()
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_solve, solve, PKPD_BIND_CONST.PKPD_BIND_GIVEN.Ret<Real>().Ret<Whole>().Ret<Whole>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_record, record, PKPD_BIND_CONST.PKPD_BIND_GIVEN.Ret<Real>().Ret<Whole>().Ret<Whole>().Ret<Ticket>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_pull, pull,
                              PKPD_BIND_CONST.PKPD_BIND_GIVEN.Arg<Ticket>().Arg<Real>().Ret<Real>().Ret<Real>().Ret<Real>().Ret<Real>().Ret<Real>()
                                  .Ret<Real>().Ret<Real>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(pkpd_push, push, PKPD_BIND_CONST.PKPD_BIND_GIVEN.Arg<Ticket>().PKPD_BIND_GIVEN.Ret<Real>());
