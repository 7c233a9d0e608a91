package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/tenants"
)

// token is an access token that outlives the measurement.
type token string

func (t token) Token(context.Context) (string, error)           { return string(t), nil }
func (t token) Refresh(context.Context, string) (string, error) { return string(t), nil }

// open connects to a seeded account directly, past our token store and without pacing.
func (s *Site) open(ctx context.Context, system string) (crm.Account, error) {
	t, id, err := s.of(system)
	if err != nil {
		return nil, err
	}
	var c struct {
		Endpoint string `json:"client_endpoint"`
		Access   string `json:"access_token"`
	}
	if err := s.call(ctx, http.MethodGet, s.control(t.Account, "/credentials"), "", nil, &c); err != nil {
		return nil, err
	}
	var me tenants.Tenant
	if err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		me, err = tx.Me(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	if system == "bitrix24" {
		return bitrix24.New(bitrix24.Config{Endpoint: c.Endpoint, HTTP: s.Client, Tokens: token(c.Access), Layout: me.Layout, Lang: "en"}), nil
	}
	variant := amo.AmoCRM
	if system == "kommo" {
		variant = amo.Kommo
	}
	return amo.New(amo.Config{Variant: variant, Domain: me.Domain, HTTP: s.Client, Tokens: token(c.Access), Layout: me.Layout, Lang: "en"}), nil
}

// drainNaive compares a drain of ours with plain asynq as most teams write it: one call per change, tried again with
// asynq's own back-off when the CRM refuses.
func drainNaive(ctx context.Context, s *Site) (Result, error) {
	n := 250 // 500 calls: one for the fields and one for the note of each deal
	if s.Quick {
		n = 40
	}
	ours, _, err := drain(ctx, s, "bitrix24", n)
	if err != nil {
		return Result{}, err
	}
	time.Sleep(30 * time.Second) // the portal's bucket empties
	naive, rejections, err := s.naively(ctx, n)
	return Result{Value: ours.Seconds(), Unit: "s", Baseline: "one call per change with asynq's retries", BaselineValue: naive.Seconds(), N: n,
		Notes: fmt.Sprintf("Bitrix24, real time; naive met %d rejections, ours none; two calls a deal; fewer deals than the other drains because naive needs minutes for them", rejections)}, err
}

type single struct {
	Deal string
	Note bool
}

// naively writes n deals and their notes, one call each.
func (s *Site) naively(ctx context.Context, n int) (took time.Duration, rejections int, err error) {
	account, err := s.open(ctx, "bitrix24")
	if err != nil {
		return 0, 0, err
	}
	option, err := asynq.ParseRedisURI(s.Redis)
	if err != nil {
		return 0, 0, err
	}
	client := asynq.NewClient(option)
	defer func() { _ = client.Close() }()
	var left atomic.Int64
	left.Store(int64(2 * n))
	done := make(chan struct{})
	server := asynq.NewServer(option, asynq.Config{Concurrency: 10, Queues: map[string]int{"naive": 1}, LogLevel: asynq.FatalLevel})
	err = server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		var one single
		if err := json.Unmarshal(t.Payload(), &one); err != nil {
			return err
		}
		c := crm.Change{Deal: one.Deal, State: &crm.State{Status: crm.Paid}}
		if one.Note {
			c = crm.Change{Deal: one.Deal, Effect: &crm.Effect{Kind: crm.Note, Reference: "NAIVE-" + one.Deal, Text: "Paid"}}
		}
		err := account.Apply(ctx, []crm.Change{c})[0].Err
		if err == nil && left.Add(-1) == 0 {
			close(done)
		}
		return err
	}))
	if err != nil {
		return 0, 0, err
	}
	defer server.Shutdown()
	_, before, err := s.limits(ctx, demo.Portal)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	for _, deal := range names(n) {
		for _, note := range []bool{false, true} {
			payload, _ := json.Marshal(single{deal, note})
			if _, err := client.EnqueueContext(ctx, asynq.NewTask("call", payload), asynq.Queue("naive")); err != nil {
				return 0, 0, err
			}
		}
	}
	select {
	case <-done:
		took = time.Since(start)
	case <-time.After(15 * time.Minute):
		err = errors.New("not through after a quarter of an hour")
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, after, limits := s.limits(ctx, demo.Portal)
	return took, after - before, errors.Join(err, limits)
}
