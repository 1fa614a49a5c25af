// SPDX-License-Identifier: GPL-2.0
// Spins, sleeps and is interrupted, and tells how long each took by its own clock, the one of the trace ("local").
// Each line in the kernel's log: "clocked: WHAT NUMBER...". Inner times were read in the function, outer ones around it.
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/trace_clock.h>
#include <linux/version.h>

#define N_TICKS 40
#define TICK_NS 300000 /* which one tick's handler takes */
#define AWAY_NS 2000  /* a longer time between two reads of the clock was an interrupt */

static struct hrtimer timer;
static struct task_struct *sleeper;
static u64 woken_at, in_ticks;
static unsigned int n_ticks, n_calls;

static noinline u64 clocked_spin(u64 ns)
{
	u64 begin = trace_clock_local(), now;

	do
		now = trace_clock_local();
	while (now - begin < ns);
	return now - begin;
}

static noinline enum hrtimer_restart clocked_wake(struct hrtimer *unused)
{
	woken_at = trace_clock_local();
	wake_up_process(sleeper);
	return HRTIMER_NORESTART;
}

static noinline enum hrtimer_restart clocked_tick(struct hrtimer *unused)
{
	u64 begin = trace_clock_local(), now;

	do
		now = trace_clock_local();
	while (now - begin < TICK_NS);
	in_ticks += now - begin;
	if (++n_ticks == N_TICKS)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(&timer, ns_to_ktime(10 * TICK_NS));
	return HRTIMER_RESTART;
}

static void start(enum hrtimer_restart (*handler)(struct hrtimer *), u64 ns)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(&timer, handler, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED);
#else
	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED);
	timer.function = handler;
#endif
	hrtimer_start(&timer, ns_to_ktime(ns), HRTIMER_MODE_REL_PINNED);
}

/* What is traced of it is schedule: nothing else stands between the two reads of the clock. */
static noinline u64 clocked_sleep(u64 ns, u64 *until_woken)
{
	u64 begin, end;

	sleeper = current;
	set_current_state(TASK_UNINTERRUPTIBLE);
	start(clocked_wake, ns);
	begin = trace_clock_local();
	schedule();
	end = trace_clock_local();
	*until_woken = woken_at - begin;
	return end - begin;
}

static noinline u64 clocked_interrupted(u64 *away)
{
	u64 begin, last, now;

	start(clocked_tick, TICK_NS);
	last = begin = trace_clock_local();
	while (READ_ONCE(n_ticks) < N_TICKS) {
		now = trace_clock_local();
		if (now - last > AWAY_NS)
			*away += now - last;
		last = now;
	}
	return last - begin;
}

static noinline void clocked_called(void)
{
	n_calls++;
	barrier();
}

/* Most of its time is the tracer's, which is hit by the ticks. */
static noinline u64 clocked_calls(void)
{
	u64 begin = trace_clock_local();

	start(clocked_tick, TICK_NS);
	while (READ_ONCE(n_ticks) < N_TICKS)
		clocked_called();
	return trace_clock_local() - begin;
}

static int __init clocked_init(void)
{
	u64 begin, inner, outer, told = 0;

	preempt_disable();
	begin = trace_clock_local();
	inner = clocked_spin(20000000);
	outer = trace_clock_local() - begin;
	preempt_enable();
	pr_info("clocked: spin %llu %llu\n", inner, outer);

	inner = clocked_sleep(300000000, &told);
	pr_info("clocked: sleep %llu %llu\n", told, inner);

	told = 0;
	preempt_disable();
	begin = trace_clock_local();
	inner = clocked_interrupted(&told);
	outer = trace_clock_local() - begin;
	preempt_enable();
	pr_info("clocked: interrupted %llu %llu %u %llu %llu\n", inner, outer, n_ticks, in_ticks, told);

	n_ticks = 0;
	in_ticks = 0;
	preempt_disable();
	begin = trace_clock_local();
	inner = clocked_calls();
	outer = trace_clock_local() - begin;
	preempt_enable();
	pr_info("clocked: calls %llu %llu %u %llu %u\n", inner, outer, n_ticks, in_ticks, n_calls);
	return 0;
}

static void __exit clocked_exit(void)
{
}

module_init(clocked_init);
module_exit(clocked_exit);
MODULE_DESCRIPTION("What took how long, by a clock of its own");
MODULE_LICENSE("GPL");
