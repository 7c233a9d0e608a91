package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
)

// clients is how many notices come at once, here and at pgbench.
const clients = 32

// intake compares notices taken a second with pgbench's same insert in the same database.
func intake(ctx context.Context, s *Site) (Result, error) {
	length := 10 * time.Second
	if s.Quick {
		length = 4 * time.Second
	}
	r, err := newRig(ctx, 0)
	if r != nil {
		defer r.close()
	}
	if err == nil {
		err = r.grow(ctx, 1)
	}
	if err != nil {
		return Result{}, err
	}
	r.payments.Providers = map[string]payments.Provider{"hinter": hinter{}}
	if err := r.payments.Connect(ctx, r.ids[0], payments.By{Actor: tenants.Operator, Role: tenants.Admin}, "hinter", nil, true); err != nil {
		return Result{}, err
	}
	pgRate, pg99, err := r.pgbench(ctx, length)
	if err != nil {
		return Result{}, err
	}
	rate, own99, err := r.take(ctx, length)
	return Result{Value: rate, Unit: "1/s", Baseline: "pgbench's same insert", BaselineValue: pgRate, N: int(rate * length.Seconds()),
		Notes: fmt.Sprintf("%d connections, every tenth notice a repetition on both sides; p99 %.1f ms, pgbench's %.1f ms; ours also reads the connection and seals the notice", clients, own99, pg99)}, err
}

// hinter is an acquirer whose notices name themselves.
type hinter struct{ payments.Provider }

func (hinter) Describe() payments.Description                   { return payments.Description{Name: "Hinter"} }
func (hinter) Check(context.Context, payments.Connection) error { return nil }
func (hinter) Hear(_ payments.Connection, n payments.Notice) (payments.Heard, error) {
	return payments.Heard{Key: n.Query, Reference: n.Query}, nil
}

// take lets notices in for a while.
func (r *rig) take(ctx context.Context, length time.Duration) (perSecond, p99 float64, err error) {
	var key string
	if err := r.db.In(ctx, r.ids[0], func(ctx context.Context, tx *tenants.Tx) error {
		linked, err := payments.Connections(ctx, tx)
		if err != nil {
			return err
		}
		url, err := r.payments.HookURL(tx, linked[0])
		key = url[strings.LastIndex(url, "/")+1:]
		return err
	}); err != nil {
		return 0, 0, err
	}
	var serial atomic.Int64
	var mu sync.Mutex
	var took []float64
	var all sync.WaitGroup
	ends := time.Now().Add(length)
	for range clients {
		all.Go(func() {
			var own []float64
			for time.Now().Before(ends) {
				n := serial.Add(1)
				n -= n % 10 / 9 // every tenth repeats the one before
				start := time.Now()
				_, _, failed := r.payments.Take(ctx, "hinter", key, payments.Notice{Method: http.MethodPost, Query: strconv.FormatInt(n, 10),
					Body: []byte(strings.Repeat("x", 400)), ReceivedAt: start})
				own = append(own, millis(time.Since(start)))
				if failed != nil {
					mu.Lock()
					err = failed
					mu.Unlock()
					return
				}
			}
			mu.Lock()
			took = append(took, own...)
			mu.Unlock()
		})
	}
	all.Wait()
	return float64(len(took)) / length.Seconds(), percentile(took, 0.99), err
}

// script is what taking a notice has to make durable: the notice, once, and the promise to look at it. Every tenth repeats
// the one before, as in take.
const script = `\set i :i + 1
\set n :client_id * 100000000 + :i - :i % 10 / 9
WITH kept AS (INSERT INTO notices (tenant_id, id, connection_id, key, reference, authentic, raw, received_at)
  SELECT tenant_id, gen_random_uuid(), id, 'p' || :n, 'p' || :n, false, decode(repeat('ab', 450), 'hex'), now() FROM connections
  ON CONFLICT (tenant_id, connection_id, key) DO UPDATE SET times = notices.times + 1 RETURNING tenant_id, id, times)
INSERT INTO outbox (tenant_id, kind, key, due_at) SELECT tenant_id, 'notice', id::text, now() FROM kept WHERE times = 1;
`

// pgbench runs the same insert as PostgreSQL's own tool does it.
func (r *rig) pgbench(ctx context.Context, length time.Duration) (perSecond, p99 float64, err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(found) == 0 {
		return 0, 0, fmt.Errorf("pgbench is not installed")
	}
	dir, err := os.MkdirTemp("", "dealpay-pgbench-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, "script.sql"), []byte(script), 0o600); err != nil {
		return 0, 0, err
	}
	cmd := exec.CommandContext(ctx, found[len(found)-1], "-n", "-c", strconv.Itoa(clients), "-j", "2", "-T", strconv.Itoa(int(length.Seconds())),
		"-M", "prepared", "-D", "i=0", "-f", "script.sql", "-l", "--log-prefix=log", r.stores.DatabaseURL)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c role=dealpay_app -c app.tenant_id="+r.ids[0].String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("pgbench: %w: %.500s", err, out)
	}
	_, after, _ := strings.Cut(string(out), "tps = ")
	if _, err := fmt.Sscan(after, &perSecond); err != nil {
		return 0, 0, fmt.Errorf("pgbench: %w", err)
	}
	times, err := logged(filepath.Join(dir, "log.*"))
	return perSecond, percentile(times, 0.99), err
}

// logged reads the milliseconds of each transaction from pgbench's logs.
func logged(pattern string) ([]float64, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var times []float64
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if fields := strings.Fields(lines.Text()); len(fields) > 2 {
				us, _ := strconv.ParseFloat(fields[2], 64)
				times = append(times, us/1000)
			}
		}
		_ = f.Close()
	}
	return times, nil
}
