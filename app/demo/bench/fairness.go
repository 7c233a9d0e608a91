package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dealpay/dealpay/tenants"
)

// fairness compares how long small tenants wait for their one change while one tenant has a flood of them, and without.
func fairness(ctx context.Context, s *Site) (Result, error) {
	small, flood := 999, 10_000
	if s.Quick {
		small, flood = 200, 3_000
	}
	r, err := newRig(ctx, 20*time.Millisecond)
	if r != nil {
		defer r.close()
	}
	if err == nil {
		err = r.grow(ctx, small+1)
	}
	if err != nil {
		return Result{}, err
	}
	if _, err := r.small(ctx, "warm", 0); err != nil { // connections and plans are new
		return Result{}, err
	}
	alone, err := r.small(ctx, "alone", 0)
	if err != nil {
		return Result{}, err
	}
	beside, err := r.small(ctx, "beside", flood)
	return Result{Value: percentile(beside, 0.99), Unit: "ms", Baseline: "the others' p99 without the flood", BaselineValue: percentile(alone, 0.99), N: small,
		Notes: fmt.Sprintf("one tenant floods with %d changes; p50 %.1f ms, without %.1f ms; 3 workers of 64 places in one process, CRM calls of 20 ms at Bitrix24's limits",
			flood, percentile(beside, 0.5), percentile(alone, 0.5))}, err
}

// small promises one change for every tenant but the first, fifty a second, and returns the milliseconds until each was
// written.
func (r *rig) small(ctx context.Context, run string, flood int) ([]float64, error) {
	work, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer stop()
	for range 3 {
		workers.Go(func() { _ = r.queue.Serve(work, r.worker(), 64) })
	}
	r.db.Wake = r.queue.Send // as the web process does
	if flood > 0 {
		if err := change(ctx, r.db, r.ids[0], run, names(flood), time.Now()); err != nil {
			return nil, err
		}
	}
	time.Sleep(time.Second)
	began := map[tenants.ID]time.Time{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, id := range r.ids[1:] {
		<-tick.C
		began[id] = time.Now()
		if err := change(ctx, r.db, id, run, []string{"1"}, time.Now()); err != nil {
			return nil, err
		}
	}
	var waits []float64
	for id, at := range began {
		last, err := drained(ctx, r.db, id, run, 1, time.Minute)
		if err != nil {
			return waits, err
		}
		waits = append(waits, millis(last.Sub(at)))
	}
	return waits, nil
}

// scale compares what one event costs among ten tenants and among ten thousand.
func scale(ctx context.Context, s *Site) (Result, error) {
	many, events := 10_000, 400
	if s.Quick {
		many, events = 1_000, 150
	}
	r, err := newRig(ctx, 0)
	if r != nil {
		defer r.close()
	}
	if err != nil {
		return Result{}, err
	}
	var costs [2]float64
	for i, n := range []int{10, many} {
		if err := r.grow(ctx, n); err != nil {
			return Result{}, err
		}
		if _, err := r.cost(ctx, fmt.Sprint("warm", i), events/4); err != nil {
			return Result{}, err
		}
		if costs[i], err = r.cost(ctx, fmt.Sprint("run", i), events); err != nil {
			return Result{}, err
		}
	}
	return Result{Value: costs[1], Unit: "ms", Baseline: "the same with 10 tenants", BaselineValue: costs[0], N: many,
		Notes: fmt.Sprintf("median of %d single events, one after the other: change, promise, one look of the sweeper, lane, record; a CRM that answers at once", events)}, nil
}

// cost is the median time of one event in milliseconds; events go round all tenants.
func (r *rig) cost(ctx context.Context, run string, events int) (float64, error) {
	r.db.Wake = nil
	worker := r.worker()
	var took []float64
	for i := range events {
		id := r.ids[i*7919%len(r.ids)]
		start := time.Now()
		if err := change(ctx, r.db, id, fmt.Sprint(run, "-", i), []string{"1"}, time.Now()); err != nil {
			return 0, err
		}
		due, err := r.db.Due(ctx, time.Now(), time.Minute, 100)
		if err != nil {
			return 0, err
		}
		if !slices.ContainsFunc(due, func(d tenants.Reminder) bool { return d.Tenant == id }) {
			return 0, errors.New("the sweeper does not see what is due")
		}
		if err := worker.Lane(ctx, id); err != nil {
			return 0, err
		}
		took = append(took, millis(time.Since(start)))
	}
	return percentile(took, 0.5), nil
}
