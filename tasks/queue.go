package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Reminders in Redis: one type for a promise, one for a lane. They carry ids only.
const (
	promiseTask = "promise:run"
	laneTask    = "lane:run"
)

// What waits for different others has places of its own: a CRM that hangs, or whose limit all its accounts share, keeps nobody
// from asking an acquirer, from a letter or from another CRM, and the night's comparisons keep nobody from any of them.
var pools = []pool{
	{checks, 1, 20 * time.Millisecond},
	{lanes + string(crm.Bitrix24), 1, 40 * time.Millisecond},
	{lanes + string(crm.AmoCRM), 1, 40 * time.Millisecond},
	{lanes + string(crm.Kommo), 1, 40 * time.Millisecond},
	{chores + string(crm.Bitrix24), 4, 200 * time.Millisecond},
	{chores + string(crm.AmoCRM), 4, 200 * time.Millisecond},
	{chores + string(crm.Kommo), 4, 200 * time.Millisecond},
	{letters, 4, 200 * time.Millisecond},
	{nights, 4, 500 * time.Millisecond},
}

type pool struct {
	queue string
	share int           // one of so many places that a worker has
	look  time.Duration // how often it looks while idle; asynq's default is a second, and who waits for an answer is served near by
}

const (
	checks  = "checks"  // ask an acquirer, or change what is owed
	lanes   = "lanes:"  // write to the CRM named
	chores  = "chores:" // what else the CRM named is asked for
	letters = "letters" // write to customers
	nights  = "nights"  // compare a day
)

// queueOf is where a kind of promise is reminded of.
func (q *Queue) queueOf(ctx context.Context, id tenants.ID, kind outbox.Kind) string {
	switch kind {
	case outbox.Check, outbox.Notice, outbox.Expire, outbox.Refund:
		return checks
	case outbox.Email:
		return letters
	case outbox.Reconcile:
		return nights
	case outbox.Push:
		return lanes + q.systemOf(ctx, id)
	}
	return chores + q.systemOf(ctx, id)
}

// systemOf is the CRM of a tenant; any one when that cannot be said, since a place is not what makes work right.
func (q *Queue) systemOf(ctx context.Context, id tenants.ID) string {
	if q.System != nil {
		if system, err := q.System(ctx, id); err == nil {
			return system
		}
	}
	return string(crm.Bitrix24)
}

type reminder struct {
	Tenant string      `json:"t"`
	Kind   outbox.Kind `json:"k,omitempty"`
	ID     int64       `json:"i,omitempty"`
}

// Queue sends and receives reminders.
type Queue struct {
	// System tells which CRM a tenant has. Set it before the first reminder.
	System func(context.Context, tenants.ID) (string, error)

	redis  asynq.RedisConnOpt
	client *asynq.Client
	turns  redis.UniversalClient
	now    func() time.Time
	log    *slog.Logger
	near   atomic.Pointer[near]
	away   atomic.Int64 // until when Redis is not tried again, in nanoseconds of Unix time
}

// shutdownTime is how long work under way may take when a worker is asked to end.
const shutdownTime = 5 * time.Second

// awayFor is how long Redis is not tried again after it failed, so that nobody who commits waits for it.
const awayFor = time.Second

// NewQueue connects to Redis at url when the first reminder is sent.
func NewQueue(url string, now func() time.Time, log *slog.Logger) (*Queue, error) {
	opt, err := asynq.ParseRedisURI(url)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	turns, ok := opt.MakeRedisClient().(redis.UniversalClient)
	if !ok {
		return nil, errors.New("REDIS_URL: asynq makes no client of it")
	}
	return &Queue{redis: opt, client: asynq.NewClient(opt), turns: turns, now: now, log: log}, nil
}

// Close ends the client's connections.
func (q *Queue) Close() error { return errors.Join(q.client.Close(), q.turns.Close()) }

// Send reminds of promises that are due; later ones are found by the sweeper. A lane is reminded once for all its
// deals, and so are reviews. Failures are logged only: the sweeper repeats what was lost.
func (q *Queue) Send(reminders []tenants.Reminder) {
	if q.now().UnixNano() < q.away.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	type wake struct {
		tenant tenants.ID
		kind   outbox.Kind
	}
	woken := map[wake]bool{}
	for _, r := range reminders {
		if r.Due.After(q.now()) {
			continue
		}
		task := promiseTask
		body := reminder{Tenant: r.Tenant.String(), Kind: outbox.Kind(r.Kind), ID: r.ID}
		switch body.Kind {
		case outbox.Review: // a CRM may report thousands at once
			body.ID = 0
		case outbox.Push:
			task, body = laneTask, reminder{Tenant: body.Tenant}
		}
		if body.ID == 0 { // one answers all of a kind
			one := wake{r.Tenant, outbox.Kind(r.Kind)}
			if woken[one] {
				continue
			}
			woken[one] = true
		}
		payload, _ := json.Marshal(body)
		// Never retried and never archived by asynq: Postgres knows what is left to do.
		_, err := q.client.EnqueueContext(ctx, asynq.NewTask(task, payload), asynq.Queue(q.queueOf(ctx, r.Tenant, outbox.Kind(r.Kind))), asynq.MaxRetry(0), asynq.Timeout(2*time.Minute))
		if err != nil {
			q.log.Warn("reminder not sent; the sweeper will", "err", err)
			q.away.Store(q.now().Add(awayFor).UnixNano())
			return
		}
	}
}

// Serve handles reminders until ctx ends, and sweeps. concurrency bounds the checks kept at once, and the lanes of each CRM; a
// quarter of it each kind of everything else.
func (q *Queue) Serve(ctx context.Context, w *Worker, concurrency int) error {
	var servers []*asynq.Server
	for _, p := range pools {
		if server := q.start(ctx, w, p, max(1, concurrency/p.share)); server != nil {
			servers = append(servers, server)
		}
	}
	leave := q.Stay(ctx, w, max(1, concurrency/4))
	q.sweep(ctx, w.DB)
	var ending sync.WaitGroup
	for _, server := range servers {
		ending.Go(server.Shutdown)
	}
	ending.Wait()
	leave()
	return nil
}

// start handles one queue's reminders; nil when ctx ended before Redis could be reached.
func (q *Queue) start(ctx context.Context, w *Worker, p pool, places int) *asynq.Server {
	server := asynq.NewServer(q.redis, asynq.Config{
		Concurrency:              places,
		Queues:                   map[string]int{p.queue: 1},
		TaskCheckInterval:        p.look,
		DelayedTaskCheckInterval: time.Second,
		ShutdownTimeout:          shutdownTime,
		LogLevel:                 asynq.ErrorLevel,
		Logger:                   queueLog{q.log},
		BaseContext:              func() context.Context { return context.WithoutCancel(ctx) },
	})
	var busy atomic.Int64
	own := *w
	own.Crowded = func() bool { return busy.Load() >= int64(places) }
	mux := asynq.NewServeMux()
	mux.HandleFunc(promiseTask, q.handler(func(ctx context.Context, id tenants.ID, r reminder) error { return w.Run(ctx, id, r.Kind, r.ID) }))
	mux.HandleFunc(laneTask, q.handler(func(ctx context.Context, id tenants.ID, _ reminder) error {
		busy.Add(1)
		defer busy.Add(-1)
		return own.Lane(ctx, id)
	}))
	for {
		err := server.Start(mux)
		if err == nil {
			return server
		}
		q.log.Warn("queue not reachable", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// handler answers every reminder with success: what failed is promised in Postgres, and asynq must not keep it.
func (q *Queue) handler(run func(context.Context, tenants.ID, reminder) error) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		var r reminder
		err := json.Unmarshal(t.Payload(), &r)
		if err != nil {
			q.log.ErrorContext(ctx, "reminder cannot be read", "err", err)
			return nil
		}
		id, err := tenants.Restore(r.Tenant)
		if err == nil {
			err = run(ctx, id, r)
		}
		if err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "reminder not answered", "tenant", r.Tenant, "kind", r.Kind, "err", err)
		}
		return nil
	}
}

// The sweeper finds promises whose reminder was lost, or which became due. Of all workers one sweeps at a time: who takes the
// turn in Redis. Without Redis there would be nowhere to send a reminder.
const (
	sweepTurn  = "dealpay:sweep"
	sweepTime  = 400 * time.Millisecond // how long a turn keeps the others from sweeping
	sweepEvery = 500 * time.Millisecond
	sweepYoung = 250 * time.Millisecond // what is due since then was woken by whoever promised it, and is about to be claimed
	sweepQuiet = 900 * time.Millisecond // how long a reminder may take before another is sent: two ticks
	sweepLimit = 500
)

func (q *Queue) sweep(ctx context.Context, db *tenants.DB) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if mine, err := q.turns.SetNX(ctx, sweepTurn, 1, sweepTime).Result(); err != nil || !mine {
				continue
			}
			due, err := db.Due(ctx, q.now().Add(-sweepYoung), sweepQuiet, sweepLimit)
			if err != nil && ctx.Err() == nil {
				q.log.WarnContext(ctx, "sweep failed", "err", err)
			}
			q.Send(q.withRoom(ctx, due))
		}
	}
}

// fullQueue is how many reminders may wait in a queue before the sweeper adds none: while places are taken, it would go on adding
// the same ones.
const fullQueue = 1000

// withRoom leaves out what waits for a queue that is full. It stays due, and is found again.
func (q *Queue) withRoom(ctx context.Context, due []tenants.Reminder) []tenants.Reminder {
	if len(due) == 0 {
		return nil
	}
	full := map[string]bool{}
	for _, p := range pools { // asynq's own list; its inspector samples the tasks' sizes, too
		waiting, err := q.turns.LLen(ctx, "asynq:{"+p.queue+"}:pending").Result()
		full[p.queue] = err == nil && waiting >= fullQueue
	}
	return slices.DeleteFunc(due, func(r tenants.Reminder) bool { return full[q.queueOf(ctx, r.Tenant, outbox.Kind(r.Kind))] })
}

// queueLog passes asynq's messages on.
type queueLog struct{ log *slog.Logger }

func (l queueLog) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l queueLog) Info(args ...any)  { l.log.Debug(fmt.Sprint(args...)) }
func (l queueLog) Warn(args ...any)  { l.log.Warn(fmt.Sprint(args...)) }
func (l queueLog) Error(args ...any) { l.log.Warn(fmt.Sprint(args...)) }
func (l queueLog) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...)) }
