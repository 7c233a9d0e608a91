package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/migrations"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tasks"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/stores"
)

// rig is a house of many tenants on stores of its own: database, queue, limiter and lanes are real, the CRMs are only as
// slow and as limited as real ones.
type rig struct {
	stores   *stores.Stores
	dir      string
	db       *tenants.DB
	queue    *tasks.Queue
	limiter  *tasks.Limiter
	redis    *redis.Client
	payments *payments.Service
	ids      []tenants.ID
	slow     time.Duration // of one CRM call
}

func newRig(ctx context.Context, slow time.Duration) (*rig, error) {
	dir, err := os.MkdirTemp("", "dealpay-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	r := &rig{dir: dir, slow: slow}
	if r.stores, err = stores.Start(ctx, stores.Options{Dir: dir, Postgres: true, Redis: true}); err != nil {
		return nil, err
	}
	if err := migrations.Up(ctx, r.stores.DatabaseURL); err != nil {
		return r, err
	}
	keyset, err := tenants.NewKeyset()
	if err != nil {
		return r, err
	}
	sealer, err := tenants.NewSealer(keyset)
	if err != nil {
		return r, err
	}
	if r.db, err = tenants.Open(ctx, r.stores.DatabaseURL, 40, sealer); err != nil {
		return r, err
	}
	if r.queue, err = tasks.NewQueue(r.stores.RedisURL, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		return r, err
	}
	r.queue.System = r.db.SystemOf
	options, err := redis.ParseURL(r.stores.RedisURL)
	if err != nil {
		return r, err
	}
	options.ContextTimeoutEnabled = true
	r.redis = redis.NewClient(options)
	r.limiter = tasks.NewLimiter(r.redis, tasks.LimiterOptions{})
	r.payments = &payments.Service{DB: r.db, PublicURL: "https://pay.example", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	return r, r.limiter.Warm(ctx)
}

func (r *rig) close() {
	for _, c := range []io.Closer{r.redis, r.queue} {
		if c != nil {
			_ = c.Close()
		}
	}
	if r.db != nil {
		r.db.Close()
	}
	_ = r.stores.Close()
	_ = stores.Discard(r.dir)
}

// grow makes tenants until there are n, each with a timer that is not due, as real ones have.
func (r *rig) grow(ctx context.Context, n int) error {
	var mu sync.Mutex
	var failed error
	var all sync.WaitGroup
	have := len(r.ids)
	for part := range 8 {
		all.Go(func() {
			for i := have + part; i < n; i += 8 {
				name := fmt.Sprint("t", i)
				id, err := r.db.Join(ctx, "bitrix24", name, name+".bitrix24.com", name)
				if err == nil {
					err = r.db.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
						return outbox.Make(ctx, tx, outbox.Setup, "on", time.Now().Add(24*time.Hour))
					})
				}
				mu.Lock()
				if r.ids = append(r.ids, id); err != nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return failed
}

func (r *rig) worker() *tasks.Worker {
	return &tasks.Worker{DB: r.db, Payments: r.payments, Accounts: r, Remind: r.queue.Send, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// Account is a CRM that takes its time and has the limits of Bitrix24.
func (r *rig) Account(ctx context.Context, id tenants.ID) (crm.Account, tenants.Tenant, error) {
	var me tenants.Tenant
	err := r.db.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		me, err = tx.Me(ctx)
		return err
	})
	return &quiet{slow: r.slow, pacer: r.limiter.For(tasks.Account{System: crm.Bitrix24, Key: me.AccountKey})}, me, err
}

// Setup and Leave have nothing to do.
func (*rig) Setup(context.Context, tenants.ID) error { return nil }
func (*rig) Leave(context.Context, tenants.ID) error { return nil }

// quiet is a CRM account that agrees to everything.
type quiet struct {
	crm.Account
	slow  time.Duration
	pacer crm.Pacer
}

func (q *quiet) Apply(ctx context.Context, changes []crm.Change) []crm.Verdict {
	verdicts := make([]crm.Verdict, len(changes))
	for i := 0; i < len(changes); i += 50 {
		err := q.pacer.Wait(ctx, "batch")
		for n := i; n < min(i+50, len(changes)); n++ {
			verdicts[n] = crm.Verdict{RemoteID: fmt.Sprint(rand.IntN(1_000_000)), Err: err}
		}
		time.Sleep(q.slow)
	}
	return verdicts
}
