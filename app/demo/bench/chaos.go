package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/tenants"
)

// Trouble is one thing that goes wrong while people pay.
type Trouble struct {
	Name string
	Do   func(context.Context) error
}

// paid is an invoice that a customer has paid, by the acquirer's word.
type paid struct {
	tenant   demo.Tenant
	id, deal string
}

// Chaos lets customers pay for a while, causes one trouble after the other meanwhile, waits for peace, and compares the
// acquirer's books, our facts and the CRMs' fields and notes. An error names every difference.
type Chaos struct {
	*Site
	Troubles []Trouble
	Every    time.Duration // between troubles

	mu       sync.Mutex
	invoices []paid
	refused  int // requests of ours that met a trouble and were given up
	caused   map[string]int
}

// Run runs it and prints the tally with say.
func (c *Chaos) Run(ctx context.Context, say func(format string, args ...any)) error {
	c.caused = map[string]int{}
	paying, stop := context.WithCancel(ctx)
	defer stop()
	var customers sync.WaitGroup
	for _, t := range c.Tenants {
		customers.Go(func() { c.customers(paying, t) })
	}
	var failed []error
	for _, trouble := range c.Troubles {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.Every):
		}
		c.caused[trouble.Name]++
		say("  %s", trouble.Name)
		if err := trouble.Do(ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", trouble.Name, err))
		}
	}
	time.Sleep(c.Every)
	stop()
	customers.Wait()
	say("  peace: waiting for everything to be written")
	differences, err := c.settled(ctx, 90*time.Second)
	failed = append(failed, err)
	say("\n%d payments, %d requests met a trouble; troubles: %v", len(c.invoices), c.refused, c.caused)
	for _, d := range differences {
		failed = append(failed, errors.New(d))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	say("books, facts, CRM fields and notes agree: every payment once")
	return nil
}

// customers of one tenant pay, one invoice after the other, in deals of their own.
func (c *Chaos) customers(ctx context.Context, t demo.Tenant) {
	for n := 0; ctx.Err() == nil; n++ {
		if err := c.pay(context.WithoutCancel(ctx), t, fmt.Sprint(1+n%c.Deals)); err != nil {
			c.mu.Lock()
			c.refused++
			c.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(300+rand.IntN(900)) * time.Millisecond):
		}
	}
}

// pay is what a manager and a customer do. What meets a trouble is given up before money moves; the notice may come once,
// twice or not at all.
func (c *Chaos) pay(ctx context.Context, t demo.Tenant, deal string) error {
	var in struct{ ID, URL string }
	if err := c.call(ctx, http.MethodPost, c.App+"/api/v1/invoices", t.APIKey, map[string]any{"deal_id": deal,
		"amount": map[string]any{"minor": 100_000 + rand.IntN(900_000), "currency": "AMD"}, "purpose": "Chaos"}, &in); err != nil {
		return err
	}
	checkout, err := c.checkout(ctx, in.URL)
	if err != nil {
		return err
	}
	if err := c.call(ctx, http.MethodPost, c.control(demo.Acquirer, "/pay"), "", map[string]any{"url": checkout, "outcome": "paid", "notices": rand.IntN(3)}, nil); err != nil {
		return err
	}
	c.mu.Lock()
	c.invoices = append(c.invoices, paid{tenant: t, id: in.ID, deal: deal})
	c.mu.Unlock()
	return nil
}

// settled compares until nothing differs or the time is over, and returns what differs then.
func (c *Chaos) settled(ctx context.Context, within time.Duration) ([]string, error) {
	ends := time.Now().Add(within)
	for {
		differences, err := c.compare(ctx)
		if err == nil && len(differences) == 0 || time.Now().After(ends) || ctx.Err() != nil {
			return differences, err
		}
		time.Sleep(2 * time.Second)
	}
}

// compare lists what does not agree.
func (c *Chaos) compare(ctx context.Context) ([]string, error) {
	var books []struct {
		Order    string `json:"order"`
		Captured int64  `json:"captured_minor"`
	}
	if err := c.call(ctx, http.MethodGet, c.control(demo.Acquirer, "/books"), "", nil, &books); err != nil {
		return nil, err
	}
	taken := map[string]int64{} // by invoice number
	for _, b := range books {
		number := b.Order[:max(0, strings.LastIndex(b.Order, "-"))]
		taken[number] += b.Captured
	}
	var all []string
	known := map[string]bool{}
	for _, t := range c.Tenants {
		differences, err := c.compareTenant(ctx, t, taken, known)
		if err != nil {
			return nil, err
		}
		all = append(all, differences...)
	}
	for number, minor := range taken {
		if minor > 0 && !known[number] {
			all = append(all, "the books have "+number+" and we do not")
		}
	}
	return all, nil
}

// kept is what we hold of one invoice.
type kept struct {
	Number string `db:"number"`
	Deal   string `db:"deal_id"`
	Status string `db:"status"`
	Paid   int64  `db:"paid"`
	Facts  int    `db:"facts"`
	Open   int    `db:"open"` // effects that are not sent
}

func (c *Chaos) compareTenant(ctx context.Context, t demo.Tenant, taken map[string]int64, known map[string]bool) ([]string, error) {
	id, err := tenants.Restore(t.ID)
	if err != nil {
		return nil, err
	}
	var rows []kept
	if err := c.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		rows, err = tenants.Rows[kept](ctx, tx, `SELECT number, deal_id, status, paid,
			(SELECT count(*) FROM facts f WHERE f.invoice_id = i.id AND f.status = 'paid') AS facts,
			(SELECT count(*) FROM effects e WHERE e.deal_id = i.deal_id AND e.status IN ('planned', 'sending')) AS open FROM invoices i`)
		return err
	}); err != nil {
		return nil, err
	}
	held, err := c.held(ctx, t.Account)
	if err != nil {
		return nil, err
	}
	var all []string
	differ := func(k kept, format string, args ...any) {
		all = append(all, fmt.Sprintf("%s deal %s invoice %s: ", t.CRM, k.Deal, k.Number)+fmt.Sprintf(format, args...))
	}
	sums := map[string]int64{}
	for _, k := range rows {
		known[k.Number] = true
		sums[k.Deal] += k.Paid
		if k.Paid != taken[k.Number] {
			differ(k, "the books say %d, we say %d", taken[k.Number], k.Paid)
		}
		notes := strings.Count(held[k.Deal], k.Number)
		if want := min(1, int(taken[k.Number])); notes != want || k.Facts != want || k.Open != 0 {
			differ(k, "%d notes and %d facts instead of %d, %d effects open", notes, k.Facts, want, k.Open)
		}
	}
	for deal, sum := range sums {
		if sum > 0 && !strings.Contains(held["fields of "+deal], fmt.Sprintf("%d", sum/100)) {
			all = append(all, fmt.Sprintf("%s deal %s: %d.%02d was paid, its fields hold %.300s", t.CRM, deal, sum/100, sum%100, held["fields of "+deal]))
		}
	}
	return all, nil
}

// held is what a CRM holds: all notes of each deal as one text, and all its fields.
func (c *Chaos) held(ctx context.Context, host string) (map[string]string, error) {
	var state struct {
		Deals []struct {
			ID     string          `json:"id"`
			Fields json.RawMessage `json:"fields"`
			Notes  []struct {
				Text string `json:"text"`
			} `json:"notes"`
		} `json:"deals"`
	}
	if err := c.call(ctx, http.MethodGet, c.control(host, "/state"), "", nil, &state); err != nil {
		return nil, err
	}
	held := map[string]string{}
	for _, d := range state.Deals {
		for _, n := range d.Notes {
			held[d.ID] += n.Text + "\n"
		}
		held["fields of "+d.ID] = string(d.Fields)
	}
	return held, nil
}
