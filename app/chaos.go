package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/app/demo/bench"
	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/redis/go-redis/v9"
)

type chaosCommand struct {
	Dir string `default:".dealpay/chaos" help:"Where private stores keep their data; emptied at the start."`
}

// Run starts a demo, breaks it while people pay, and compares everybody's books. It takes about three minutes.
func (c chaosCommand) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := newRunning(demoCommand{Workers: 3, Dir: c.Dir, Deals: 200})
	defer r.close(stop)
	site, err := r.site(ctx)
	if err != nil {
		return err
	}
	defer site.DB.Close()
	site.Client = demo.LoopbackClient(20 * time.Second)
	run := bench.Chaos{Every: 6 * time.Second, Troubles: r.troubles(), Site: site}
	return run.Run(ctx, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
}

// troubles in the order in which they happen.
func (r *running) troubles() []bench.Trouble {
	worker := bench.Trouble{Name: "a worker is killed", Do: func(context.Context) error { return r.kill("work-") }}
	flush := bench.Trouble{Name: "Redis loses its data", Do: r.flush}
	list := []bench.Trouble{
		worker, flush,
		{Name: "all workers are killed", Do: func(context.Context) error { return r.kill("work-", "work-", "work-") }},
		{Name: "Redis hangs for five seconds", Do: func(context.Context) error {
			if err := r.signal("redis", syscall.SIGSTOP); err != nil {
				return err
			}
			time.Sleep(5 * time.Second)
			return r.signal("redis", syscall.SIGCONT)
		}},
		{Name: "the web process is killed", Do: func(context.Context) error { return r.kill("serve") }},
		{Name: "Redis is killed", Do: func(context.Context) error { return r.signal("redis", syscall.SIGKILL) }},
		{Name: "PostgreSQL restarts", Do: func(context.Context) error { return r.signal("postgres", syscall.SIGINT) }},
	}
	notes := map[string]string{demo.Portal: "crm.timeline.comment.add", demo.AmoHost: "POST /api/v4/leads/notes", demo.KommoHost: "POST /api/v4/leads/notes"}
	for _, host := range []string{demo.Portal, demo.AmoHost, demo.KommoHost} {
		for _, f := range []standintest.Fault{{Kind: standintest.Down, Count: 8}, {Kind: standintest.DropAfterCommit, Count: 4, Match: notes[host]},
			{Kind: standintest.Throttle, Count: 2}} {
			list = append(list, bench.Trouble{Name: string(f.Kind) + " at " + host, Do: func(ctx context.Context) error { return r.order(ctx, host, f) }})
		}
		list = append(list, worker)
	}
	return append(list, flush, bench.Trouble{Name: "the acquirer is down", Do: func(ctx context.Context) error {
		return r.order(ctx, demo.Acquirer, standintest.Fault{Kind: standintest.Down, Count: 10})
	}}, worker)
}

// signal sends a signal to a private store; one that ends is started again.
func (r *running) signal(store string, s syscall.Signal) error {
	r.mu.Lock()
	pid := r.private[store]
	r.mu.Unlock()
	if pid == 0 {
		return fmt.Errorf("%s is not a private one", store)
	}
	return syscall.Kill(pid, s)
}

func (r *running) flush(ctx context.Context) error {
	options, err := redis.ParseURL(r.config.RedisURL)
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	return client.FlushAll(ctx).Err()
}

// order makes a stand-in misbehave.
func (r *running) order(ctx context.Context, host string, f standintest.Fault) error {
	site := bench.Site{Stands: r.standins, Client: r.seeder.Client}
	return site.Order(ctx, host, f)
}

// kill ends one process of each of these kinds with SIGKILL; the supervisor starts it again.
func (r *running) kill(kinds ...string) error {
	parts := r.parts.Processes()
	rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	killed := map[int]bool{}
	for _, kind := range kinds {
		for _, p := range parts {
			if strings.HasPrefix(p.Name, kind) && !killed[p.PID] {
				killed[p.PID] = true
				if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
					return fmt.Errorf("kill %s: %w", p.Name, err)
				}
				break
			}
		}
	}
	return nil
}
