package stores

import (
	"context"
	"time"
)

// Keep starts again, within a second, whichever store dies, until ctx ends. Nothing else may be called meanwhile. tell is
// told each process id, at first and when it changes; failed starts are tried again.
func (s *Stores) Keep(ctx context.Context, tell func(name string, pid int, err error)) {
	stores := []struct {
		name  string
		child func() *child
		start func(context.Context) error
		ran   bool
	}{{"postgres", func() *child { return s.postgres }, s.StartPostgres, s.postgres != nil},
		{"redis", func() *child { return s.redis }, s.StartRedis, s.redis != nil}}
	for _, store := range stores {
		if store.ran {
			tell(store.name, store.child().cmd.Process.Pid, nil)
		}
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, store := range stores {
			c := store.child()
			if !store.ran || (c != nil && !c.ended()) || ctx.Err() != nil {
				continue
			}
			pid, err := 0, store.start(ctx)
			if c := store.child(); c != nil {
				pid = c.cmd.Process.Pid
			}
			if ctx.Err() == nil {
				tell(store.name, pid, err)
			}
		}
	}
}
