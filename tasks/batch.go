package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// batchDeals is how many deals are written together; CRMs take 50 changes in one request.
const batchDeals = 50

// batch is what one look at the promises found.
type batch struct {
	deals  []*deal
	stages mapping.Stages
	stop   error // why the CRM should not be called again in this turn
}

// deal is one deal on its way to the CRM.
type deal struct {
	claim   outbox.Claim
	want    crm.State
	write   bool // want differs from what was last written
	move    bool // the status changed and may move the deal: read it first
	effects []outbox.Effect
	changes []crm.Change
	keys    []string // of the effect behind each change; empty for the state
	later   bool     // an effect must wait for another one
	forget  []string // effects that need not happen any more
}

// load claims what is due and works out what the CRM should hold, in one transaction. Effects are marked as being sent
// before anything leaves.
func (w *Worker) load(ctx context.Context, id tenants.ID, lane *outbox.Lane, tenant tenants.Tenant) (*batch, error) {
	b := &batch{}
	err := w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		*b = batch{stages: tenant.Settings.Stages}
		if err := lane.Look(ctx, tx); err != nil {
			return err
		}
		claims, err := outbox.Take(ctx, tx, outbox.Push, 0, tenants.NewUUID(), w.Now(), lease, batchDeals)
		if err != nil || len(claims) == 0 {
			return err
		}
		var names []string
		byDeal := map[string]*deal{}
		for _, c := range claims {
			d := &deal{claim: c}
			byDeal[c.Key] = d
			b.deals, names = append(b.deals, d), append(names, c.Key)
			if err := w.look(ctx, tx, d, tenant); err != nil {
				return err
			}
		}
		effects, err := outbox.Open(ctx, tx, names)
		if err != nil {
			return err
		}
		for _, e := range effects {
			byDeal[e.Deal].effects = append(byDeal[e.Deal].effects, e)
		}
		var sending []string
		for _, d := range b.deals {
			keys, err := d.plan(tenant.Settings.Language)
			if err != nil {
				return err
			}
			sending = append(sending, keys...)
		}
		return outbox.Sending(ctx, tx, sending, w.Now())
	})
	w.fault("sending")
	return b, err
}

// look works out what the deal's fields should hold.
func (w *Worker) look(ctx context.Context, tx *tenants.Tx, d *deal, tenant tenants.Tenant) error {
	mine, err := w.Payments.DealOf(ctx, tx, d.claim.Key)
	if err != nil {
		return err
	}
	sync, err := outbox.SyncOf(ctx, tx, d.claim.Key)
	if err != nil {
		return err
	}
	if len(mine.Invoices) == 0 {
		return nil
	}
	d.want = desired(mine, tenant)
	var had crm.State
	if sync.Written != nil {
		if err := json.Unmarshal(sync.Written, &had); err != nil {
			return fmt.Errorf("read what was written: %w", err)
		}
	}
	d.write = sync.Written == nil || !equal(had, d.want)
	d.move = d.write && had.Status != d.want.Status && mapping.Stages(tenant.Settings.Stages).Wants(d.want.Status)
	return nil
}

// desired is what the deal's fields should hold.
func desired(d payments.Deal, _ tenants.Tenant) crm.State {
	b := d.Balance
	return crm.State{Status: crm.Status(b.Status), Paid: amount(d.Money(b.Paid)), Refunded: amount(d.Money(b.Refunded)),
		Outstanding: amount(d.Money(b.Outstanding)), Link: d.Link, PaidAt: b.PaidAt.UTC().Truncate(time.Second),
		RefundedAt: b.RefundedAt.UTC().Truncate(time.Second), Reference: d.Reference}
}

func amount(m payments.Money) crm.Money { return crm.Money{Decimal: m.Decimal(), Currency: m.Currency} }

func equal(a, b crm.State) bool {
	same := a.PaidAt.Equal(b.PaidAt) && a.RefundedAt.Equal(b.RefundedAt)
	a.PaidAt, a.RefundedAt, b.PaidAt, b.RefundedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	a.Stage, a.Pipeline, b.Stage, b.Pipeline = "", "", "", ""
	return same && a == b
}

// drift says whether the CRM holds something else than what we last wrote there.
func drift(held, want crm.State, written json.RawMessage) bool {
	var had crm.State
	if json.Unmarshal(written, &had) != nil || !equal(had, want) {
		return false // a push is under way anyway
	}
	return held.Status != had.Status || held.Paid != had.Paid || held.Reference != had.Reference || held.Link != had.Link
}

// plan turns what is open into changes and returns the keys of the effects that are about to be sent.
func (d *deal) plan(lang string) ([]string, error) {
	if d.write {
		want := d.want
		d.changes, d.keys = append(d.changes, crm.Change{Deal: d.claim.Key, State: &want}), append(d.keys, "")
	}
	var sending []string
	for _, e := range d.effects {
		change, verdict, err := effect(e, lang)
		if err != nil {
			return nil, err
		}
		switch verdict {
		case wait:
			d.later = true
		case drop:
			d.forget = append(d.forget, e.Key)
		case send:
			d.changes, d.keys, sending = append(d.changes, change), append(d.keys, e.Key), append(sending, e.Key)
		}
	}
	return sending, nil
}

type verdict int

const (
	send verdict = iota
	wait         // until the task it closes was sent
	drop
)

// effect puts an effect into words.
func effect(e outbox.Effect, lang string) (crm.Change, verdict, error) {
	t, err := e.Telling()
	if err != nil {
		return crm.Change{}, drop, fmt.Errorf("read effect: %w", err)
	}
	h := mapping.Happening{What: t.What, Invoice: t.Invoice, Reference: t.Reference, Tag: e.Reference,
		Amount: amount(payments.Money{Minor: t.Minor, Currency: t.Currency})}
	out := &crm.Effect{Kind: crm.EffectKind(e.Kind), Reference: e.Reference, Ambiguous: e.Status == "sending"}
	switch e.Kind {
	case outbox.Note:
		out.Text = mapping.Note(h, lang)
	case outbox.Task:
		out.Text, out.Due = mapping.Task(h, lang), t.At.Add(24*time.Hour)
	case outbox.CloseTask:
		out.Text, out.RemoteID, out.Ambiguous = mapping.Closed(lang), e.RemoteOf, false
		switch e.OfStatus {
		case "sent":
		case "planned", "sending":
			return crm.Change{}, wait, nil
		default:
			return crm.Change{}, drop, nil
		}
	}
	return crm.Change{Deal: e.Deal, Effect: out}, send, nil
}

// write sends a batch and records a verdict for every part of it.
func (w *Worker) write(ctx context.Context, id tenants.ID, account crm.Account, b *batch) error {
	b.stop = readStages(ctx, account, b)
	var changes []crm.Change
	for _, d := range b.deals {
		changes = append(changes, d.changes...)
	}
	var verdicts []crm.Verdict
	switch {
	case b.stop != nil:
		verdicts = make([]crm.Verdict, len(changes))
		for i := range verdicts {
			verdicts[i].Err = b.stop
		}
	case len(changes) > 0:
		w.fault("before call")
		verdicts = account.Apply(ctx, changes)
		w.fault("after call")
	}
	at := 0
	err := w.DB.In(context.WithoutCancel(ctx), id, func(ctx context.Context, tx *tenants.Tx) error {
		at = 0
		for _, d := range b.deals {
			own := verdicts[at : at+len(d.changes)]
			at += len(d.changes)
			if err := w.settle(ctx, tx, b, d, own); err != nil {
				return err
			}
		}
		if b.stop != nil {
			return outbox.Pause(ctx, tx, w.Now().Add(pause(b.stop)), code(b.stop))
		}
		if err := outbox.Pause(ctx, tx, time.Time{}, ""); err != nil {
			return err
		}
		return outbox.Called(ctx, tx, w.Now())
	})
	w.fault("recorded")
	if errors.Is(err, outbox.ErrLost) {
		return nil
	}
	return err
}

// readStages reads the deals whose new status may move them and adds the stage to what is written.
func readStages(ctx context.Context, account crm.Account, b *batch) error {
	for _, d := range b.deals {
		if !d.move {
			continue
		}
		held, err := account.Deal(ctx, d.claim.Key)
		switch {
		case err == nil:
			want := d.changes[0].State
			want.Stage, want.Pipeline = b.stages.Move(held, want.Status), held.Pipeline
		case crm.ClassOf(err) == crm.Gone, crm.ClassOf(err) == crm.Refused: // the write will say so itself
		default:
			return err
		}
	}
	return nil
}
