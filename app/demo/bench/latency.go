package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
)

// latency measures from an acquirer's notice at our door to the moment when the deal's fields arrive at its CRM, over the
// calls that nobody can leave out: one status look-up and one read of the deal. Two accounts take turns, so that both are
// idle and far from their limits.
func latency(ctx context.Context, s *Site) (Result, error) {
	n := 100
	if s.Quick {
		n = 20
	}
	var mu, turn sync.Mutex
	var all []float64
	var failed error
	var both sync.WaitGroup
	for _, system := range []string{"amocrm", "kommo"} {
		both.Go(func() {
			_, err := s.payments(ctx, system, settling, &turn)
			var took []float64
			if err == nil {
				took, err = s.payments(ctx, system, n, &turn)
			}
			mu.Lock()
			defer mu.Unlock()
			if all = append(all, took...); err != nil {
				failed = err
			}
		})
	}
	both.Wait()
	if failed != nil {
		return Result{}, failed
	}
	needed, err := s.needed(ctx)
	if err != nil {
		return Result{}, err
	}
	plain, err := s.plainly(ctx, n/5)
	return Result{Value: percentile(all, 0.99) - needed, Unit: "ms", Baseline: "p99 of the same calls through plain asynq", BaselineValue: percentile(plain, 0.99) - needed, N: len(all),
		Notes: fmt.Sprintf("p50 %.1f ms (plain asynq %.1f ms); from the notice's arrival to the arrival of the field write, less %.1f ms for one status look-up and one read of the deal; the first %d payments of each account are not counted: processes have just started",
			percentile(all, 0.5)-needed, percentile(plain, 0.5)-needed, needed, settling)}, err
}

// settling is how many payments of an account go before those that count: connections to the database are new, and each
// plans its statements anew.
const settling = 15

// needed is the median of the milliseconds that a status look-up and a read of the deal take by themselves.
func (s *Site) needed(ctx context.Context) (float64, error) {
	account, err := s.open(ctx, "amocrm")
	if err != nil {
		return 0, err
	}
	var took []float64
	for i := range 20 {
		time.Sleep(pause)
		start := time.Now()
		if err := s.call(ctx, http.MethodGet, s.control(demo.Acquirer, "/limits"), "", nil, nil); err != nil { // a round trip to the acquirer
			return 0, err
		}
		if err := read(ctx, account, fmt.Sprint(1+i%20)); err != nil {
			return 0, err
		}
		took = append(took, millis(time.Since(start)))
	}
	return percentile(took, 0.5), nil
}

// read is the one request that a worker needs to know where a deal is.
func read(ctx context.Context, account crm.Account, deal string) error {
	many, ok := account.(crm.DealsReader)
	if !ok {
		return fmt.Errorf("%T reads no list", account)
	}
	_, err := many.Deals(ctx, []string{deal})
	return err
}

// payments pays n invoices one after the other, each in its turn, and returns the milliseconds from notice to CRM.
func (s *Site) payments(ctx context.Context, system string, n int, turn sync.Locker) ([]float64, error) {
	t, id, err := s.of(system)
	if err != nil {
		return nil, err
	}
	var took []float64
	for i := range n {
		deal := fmt.Sprint(100 + i)
		if s.Deals < 100+n {
			deal = t.DealIDs[i%len(t.DealIDs)]
		}
		one, err := s.payment(ctx, t, id, deal, turn)
		if err != nil {
			return took, fmt.Errorf("payment %d in %s: %w", i, system, err)
		}
		took = append(took, millis(one))
	}
	return took, nil
}

// pause lets what came before reach the CRM and leave the window of its limit: the account is idle.
const pause = 1200 * time.Millisecond

// alone is how long a payment has the machine for itself after each step: the other account takes its own after it.
const alone = 400 * time.Millisecond

func (s *Site) payment(ctx context.Context, t demo.Tenant, id tenants.ID, deal string, turn sync.Locker) (time.Duration, error) {
	undisturbed := func(do func() error) error {
		turn.Lock()
		defer turn.Unlock()
		err := do()
		time.Sleep(alone)
		return err
	}
	var invoice struct{ ID, URL string }
	var checkout string
	err := undisturbed(func() error {
		err := s.call(ctx, http.MethodPost, s.App+"/api/v1/invoices", t.APIKey, map[string]any{"deal_id": deal,
			"amount": map[string]any{"minor": 150000, "currency": "AMD"}, "purpose": "Bench"}, &invoice)
		if err == nil {
			checkout, err = s.checkout(ctx, invoice.URL)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	time.Sleep(pause - alone)
	err = undisturbed(func() error {
		return s.call(ctx, http.MethodPost, s.control(demo.Acquirer, "/pay"), "", map[string]any{"url": checkout, "outcome": "paid", "notices": 1}, nil)
	})
	if err != nil {
		return 0, err
	}
	time.Sleep(pause - alone)
	var heard time.Time
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT n.received_at FROM notices n JOIN attempts a ON a.id = n.attempt_id WHERE a.invoice_id = $1 ORDER BY 1 LIMIT 1`, invoice.ID).Scan(&heard)
	})
	if err != nil {
		return 0, fmt.Errorf("no notice came: %w", err)
	}
	wrote, err := s.wrote(ctx, t.Account, heard)
	return wrote.Sub(heard), err
}

// checkout presses Pay and returns where the customer is sent.
func (s *Site) checkout(ctx context.Context, link string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, link+"/pay", nil)
	if err != nil {
		return "", err
	}
	response, err := s.Client.Do(r)
	if err != nil {
		return "", err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		return "", fmt.Errorf("pay: %d", response.StatusCode)
	}
	return response.Header.Get("Location"), nil
}

// wrote is when the CRM received the first write of fields after since.
func (s *Site) wrote(ctx context.Context, host string, since time.Time) (time.Time, error) {
	for range 20 {
		var requests []struct {
			At     time.Time
			Method string
			Path   string
		}
		if err := s.call(ctx, http.MethodGet, s.control(host, "/requests"), "", nil, &requests); err != nil {
			return since, err
		}
		for _, r := range requests {
			if r.At.After(since) && r.Method == http.MethodPatch && strings.HasSuffix(r.Path, "/leads") {
				return r.At, nil
			}
		}
		time.Sleep(pause)
	}
	return since, fmt.Errorf("nothing was written to %s", host)
}

// plainly does what most teams write: a task for the notice that asks the acquirer and leaves a task for the CRM, on asynq
// as it comes.
func (s *Site) plainly(ctx context.Context, n int) ([]float64, error) {
	account, err := s.open(ctx, "amocrm")
	if err != nil {
		return nil, err
	}
	option, err := asynq.ParseRedisURI(s.Redis)
	if err != nil {
		return nil, err
	}
	client := asynq.NewClient(option)
	defer func() { _ = client.Close() }()
	const queue = "plain"
	done := make(chan error, 1)
	mux := asynq.NewServeMux()
	mux.HandleFunc("notice", func(ctx context.Context, t *asynq.Task) error {
		if err := s.call(ctx, http.MethodGet, s.control(demo.Acquirer, "/limits"), "", nil, nil); err != nil { // a round trip to the acquirer
			return err
		}
		_, err := client.EnqueueContext(ctx, asynq.NewTask("crm", t.Payload()), asynq.Queue(queue))
		return err
	})
	mux.HandleFunc("crm", func(ctx context.Context, t *asynq.Task) error {
		var deal string
		if err := json.Unmarshal(t.Payload(), &deal); err != nil {
			return err
		}
		if err := read(ctx, account, deal); err != nil {
			return err
		}
		done <- account.Apply(ctx, []crm.Change{{Deal: deal, State: &crm.State{Status: crm.Paid}}})[0].Err
		return nil
	})
	server := asynq.NewServer(option, asynq.Config{Concurrency: 10, Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel})
	if err := server.Start(mux); err != nil {
		return nil, err
	}
	defer server.Shutdown()
	var took []float64
	for i := range n {
		payload, _ := json.Marshal(fmt.Sprint(1 + i%20))
		start := time.Now()
		if _, err := client.EnqueueContext(ctx, asynq.NewTask("notice", payload), asynq.Queue(queue)); err != nil {
			return took, err
		}
		if err := <-done; err != nil {
			return took, err
		}
		took = append(took, millis(time.Since(start)))
		time.Sleep(pause)
	}
	return took, nil
}
