package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// change makes deals look paid just now, with one note each to write, all due at the given time.
func change(ctx context.Context, db *tenants.DB, id tenants.ID, run string, deals []string, due time.Time) error {
	return db.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		me := tx.Tenant().String()
		if _, err := tx.Exec(ctx, `INSERT INTO invoices (tenant_id, id, number, deal_id, minor, currency, purpose, status, paid, outstanding, paid_at,
				reference, expires_at, created_by)
			SELECT $1, gen_random_uuid(), 'B' || $2 || '-' || deal, deal, 150000, 'AMD', 'Bench', 'paid', 150000, 0, $4, 'R' || $2 || '-' || deal,
				$4::timestamptz + interval '3 days', 'bench' FROM unnest($3::text[]) deal`, me, run, deals, due); err != nil {
			return fmt.Errorf("seed invoices: %w", err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO effects (tenant_id, key, deal_id, kind, reference, body)
			SELECT $1, 'note:' || $2 || ':' || deal, deal, 'note', 'DPN-' || $2 || '-' || deal, jsonb_build_object('what', 'paid', 'invoice', 'B' || $2 || '-' || deal,
				'minor', 150000, 'currency', 'AMD', 'reference', 'R' || $2 || '-' || deal) FROM unnest($3::text[]) deal`, me, run, deals); err != nil {
			return fmt.Errorf("seed effects: %w", err)
		}
		if len(deals) == 1 {
			return outbox.Make(ctx, tx, outbox.Push, deals[0], due)
		}
		_, err := tx.Exec(ctx, `INSERT INTO outbox (tenant_id, kind, key, due_at) SELECT $1, 'push', deal, $3 FROM unnest($2::text[]) deal
			ON CONFLICT (tenant_id, kind, key) WHERE done_at IS NULL AND dead_at IS NULL DO UPDATE SET seq = outbox.seq + 1`, me, deals, due)
		return err
	})
}

// drained waits until all effects of a run are written, and says when the last one was.
func drained(ctx context.Context, db *tenants.DB, id tenants.ID, run string, n int, within time.Duration) (last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		var sent int
		var at *time.Time
		err := db.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*), max(sent_at) FROM effects WHERE key LIKE 'note:' || $1 || ':%' AND status = 'sent'`, run).Scan(&sent, &at)
		})
		if err != nil {
			return time.Time{}, fmt.Errorf("%d of %d written: %w", sent, n, err)
		}
		if sent == n {
			return *at, nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("only %d of %d written", sent, n)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// minimum is the shortest time in which a CRM's limit lets requests pass that start with an idle account.
func minimum(system string, requests int) time.Duration {
	if system == "bitrix24" { // 50 at once, then two a second (documented)
		return time.Duration(max(0, requests-50)) * time.Second / 2
	}
	return time.Duration(math.Ceil(float64(requests)/7)-1) * time.Second // seven in any second
}

// settled waits until an account is set up: that hastens what waits for it.
func (s *Site) settled(ctx context.Context, id tenants.ID) error {
	for open := true; open; time.Sleep(100 * time.Millisecond) {
		if err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
			return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox WHERE kind = 'setup' AND key = 'account' AND done_at IS NULL AND dead_at IS NULL)`).Scan(&open)
		}); err != nil {
			return fmt.Errorf("wait for the setup: %w", err)
		}
	}
	return nil
}

var runs int

// newRun names what one measurement writes.
func newRun() string {
	runs++
	return strconv.FormatInt(time.Now().Unix()%1_000_000, 36) + strconv.Itoa(runs)
}

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i + 1)
	}
	return list
}

func drainOf(system string) func(context.Context, *Site) (Result, error) {
	return func(ctx context.Context, s *Site) (Result, error) {
		n := s.Deals
		took, accepted, err := drain(ctx, s, system, n)
		requests := 2 * ((n + 49) / 50)
		return Result{Value: took.Seconds(), Unit: "s", Baseline: "the limit's arithmetic minimum", BaselineValue: minimum(system, requests).Seconds(), N: n,
			Notes: fmt.Sprintf("real time, 3 workers, one note a deal, stage mapping off (on, it reads 250 deals a request more); %d requests for at least %d, 0 rejected", accepted, requests)}, err
	}
}

// drain writes n changed deals of the seeded account, and says how long it took and how many requests. A rejection or a
// doubled note is an error.
func drain(ctx context.Context, s *Site, system string, n int) (time.Duration, int, error) {
	t, id, err := s.of(system)
	if err != nil {
		return 0, 0, err
	}
	if err := s.stages(ctx, t, map[string]map[string]string{}); err != nil {
		return 0, 0, err
	}
	if err := s.settled(ctx, id); err != nil {
		return 0, 0, err
	}
	accepted, rejected, err := s.limits(ctx, t.Account)
	if err != nil {
		return 0, 0, err
	}
	run, due := newRun(), time.Now().Add(30*time.Second) // by then the account is idle
	if err := change(ctx, s.DB, id, run, names(n), due); err != nil {
		return 0, 0, err
	}
	last, err := drained(ctx, s.DB, id, run, n, 20*time.Minute)
	if err != nil {
		return 0, 0, err
	}
	after, refused, err := s.limits(ctx, t.Account)
	if err == nil && refused > rejected {
		err = fmt.Errorf("%d requests were rejected", refused-rejected)
	}
	if least := 2 * ((n + 49) / 50); err == nil && after-accepted < least {
		err = fmt.Errorf("%d requests cannot have written what takes %d", after-accepted, least)
	}
	return last.Sub(due), after - accepted, errors.Join(err, s.once(ctx, t.Account, run, n))
}

// once checks that every deal has exactly one note of the run, and the run's reference in its fields.
func (s *Site) once(ctx context.Context, host, run string, n int) error {
	var state struct {
		Deals []json.RawMessage `json:"deals"`
	}
	if err := s.call(ctx, http.MethodGet, s.control(host, "/state"), "", nil, &state); err != nil {
		return err
	}
	right := 0
	for _, raw := range state.Deals {
		var d struct {
			ID    string `json:"id"`
			Notes []struct {
				Text string `json:"text"`
			} `json:"notes"`
		}
		if err := json.Unmarshal(raw, &d); err != nil {
			return fmt.Errorf("read a deal of the stand-in: %w", err)
		}
		found := 0
		for _, note := range d.Notes {
			if strings.Contains(note.Text, "DPN-"+run+"-"+d.ID) {
				found++
			}
		}
		if found > 1 {
			return fmt.Errorf("deal %s has %d notes instead of one", d.ID, found)
		}
		if right += found; found == 1 && !bytes.Contains(raw, []byte(`"R`+run+"-"+d.ID+`"`)) {
			return fmt.Errorf("deal %s has its note, and its fields were not written", d.ID)
		}
	}
	if right != n {
		return fmt.Errorf("%d deals have their note instead of %d", right, n)
	}
	return nil
}
