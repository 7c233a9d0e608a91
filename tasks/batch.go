package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// batchDeals is how many deals are read together: what one request of a CRM answers.
const batchDeals = 250

// partChanges is how many changes are sent together: two full requests for the usual field write and note of each deal.
// After a crash so many effects at most have to be looked for.
const partChanges = 100

// together is how long what is no news of money waits after a deal was written, so that changes in quick succession are one
// write. What is paid or given back waits for nothing.
const together = time.Second

// batch is what one look at the promises found.
type batch struct {
	deals []*deal
	parts [][]*deal // sent one after the other
}

// deal is one deal on its way to the CRM.
type deal struct {
	claim   outbox.Claim
	had     crm.State // what was last written, and where the deal was then
	want    crm.State
	write   bool // want differs from what was last written
	move    bool // read it first: the status changed and may move it, or it is not known yet where it is
	ask     bool // read it first: to move it, or because its pipeline decides which fields are written
	stray   bool // it was read, and somebody had moved it to a pipeline in which nothing is mapped
	home    bool // it was read, and is in a pipeline in which something is
	effects []outbox.Effect
	changes []crm.Change
	keys    []string          // of the effect behind each change; empty for the state
	calm    bool              // what changed is no news of money, and the deal was written a moment ago: all of it waits
	later   bool              // something is left: it is calm, or withheld, or an effect waits for another one or until what was sent earlier has settled
	until   time.Time         // when the last of these may go on, as far as it is known
	why     string            // it waits until then, when people should know
	forget  []string          // effects that need not happen any more
	fields  map[string]string // what goes elsewhere than to our own fields, in the pipeline where it is
}

// load claims what is due and works out what the CRM should hold, in one transaction. The effects of the first part are
// marked as being sent before anything leaves.
func (t *turn) load(ctx context.Context) (*batch, error) {
	b := &batch{}
	t.books.Lock()
	defer t.books.Unlock()
	err := t.DB.In(ctx, t.id, func(ctx context.Context, tx *tenants.Tx) error {
		*b = batch{}
		claims, err := t.lane.Look(ctx, tx, t.Now(), lease, batchDeals)
		if err != nil || len(claims) == 0 {
			return err
		}
		for _, c := range claims {
			b.deals = append(b.deals, &deal{claim: c})
		}
		if err := t.look(ctx, tx, b.deals); err != nil {
			return err
		}
		for _, d := range b.deals {
			if err := d.plan(t.tenant.Settings.Language, t.Now()); err != nil {
				return err
			}
		}
		b.parts = split(b.deals)
		outbox.Sending(tx, sending(b.parts[0]), t.Now())
		return nil
	})
	if err == nil && len(b.deals) > 0 {
		t.fault("sending")
	}
	return b, err
}

// look works out what the deals' fields should hold, and which effects are open.
func (t *turn) look(ctx context.Context, tx *tenants.Tx, deals []*deal) error {
	names, byName := make([]string, len(deals)), make(map[string]*deal, len(deals))
	for i, d := range deals {
		names[i], byName[d.claim.Key] = d.claim.Key, d
	}
	var before []outbox.Written
	var effects []outbox.Effect
	outbox.WrittenOf(tx, &before, names)
	outbox.Open(tx, &effects, names)
	mine, err := t.Payments.DealsOf(ctx, tx, names)
	if err != nil {
		return err
	}
	written := make(map[string]outbox.Written, len(before))
	for _, w := range before {
		written[w.Deal] = w
	}
	for name, d := range byName {
		if len(mine[name].Invoices) == 0 {
			continue
		}
		if err := d.compare(desired(mine[name]), written[name], t.tenant.Settings.Stages, t.Now()); err != nil {
			return err
		}
		d.ask = d.move || d.write && len(t.tenant.Settings.Fields) > 0
	}
	for _, e := range effects {
		byName[e.Deal].effects = append(byName[e.Deal].effects, e)
	}
	return nil
}

// compare decides whether the fields have to be written, and whether the deal may have to move.
func (d *deal) compare(want crm.State, written outbox.Written, stages mapping.Stages, now time.Time) error {
	if written.State != nil {
		if err := json.Unmarshal(written.State, &d.had); err != nil {
			return fmt.Errorf("read what was written: %w", err)
		}
	}
	d.want = want
	d.want.Stage, d.want.Pipeline = d.had.Stage, d.had.Pipeline
	first := written.State == nil
	d.write = first || written.Rewrite || !equal(d.had, want)
	if d.write && written.At != nil && !written.Rewrite && d.had.Status == want.Status && d.had.Paid == want.Paid && d.had.Refunded == want.Refunded {
		d.calm = now.Before(written.At.Add(together))
	}
	if d.calm {
		d.write, d.later, d.until = false, true, written.At.Add(together)
		return nil
	}
	d.move = d.write && (first && len(stages) > 0 || stages.Wants(want.Status) && (written.Remove || d.had.Status != want.Status))
	return nil
}

// place adds to what is written the stage that the deal should go to from where it is now.
func (d *deal) place(now crm.Deal, stages mapping.Stages) {
	next := d.changes[0].State
	next.Stage, next.Pipeline = stages.Move(now, next.Status), now.Pipeline
	d.stray, d.home = stages.Strayed(d.had.Pipeline, now), stages.Knows(now.Pipeline)
	d.want.Stage, d.want.Pipeline = next.Stage, now.Pipeline
	if there := stages[now.Pipeline][string(next.Status)]; there == now.Stage {
		d.want.Stage = there
	}
}

// stay notes where the deal is, so that its pipeline's fields are written; its stage is left alone.
func (d *deal) stay(now crm.Deal) {
	if d.changes[0].State.Pipeline = now.Pipeline; d.had.Pipeline != now.Pipeline {
		d.want.Stage, d.want.Pipeline = "", now.Pipeline
	}
}

// split cuts deals into parts of at most partChanges changes; a deal stays whole.
func split(deals []*deal) [][]*deal {
	var parts [][]*deal
	room := 0
	for _, d := range deals {
		if room -= len(d.changes); room < 0 || parts == nil {
			parts, room = append(parts, nil), partChanges-len(d.changes)
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], d)
	}
	return parts
}

// sending are the keys of the effects that go out with these deals.
func sending(deals []*deal) []string {
	var keys []string
	for _, d := range deals {
		for _, key := range d.keys {
			if key != "" {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// desired is what the deal's fields should hold.
func desired(d payments.Deal) crm.State {
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

// plan turns what is open into changes.
func (d *deal) plan(lang string, now time.Time) error {
	if d.calm {
		return nil
	}
	if d.write {
		want := d.want
		want.Stage, want.Pipeline = "", ""
		d.changes, d.keys = append(d.changes, crm.Change{Deal: d.claim.Key, State: &want}), append(d.keys, "")
	}
	for _, e := range d.effects {
		if e.Status == "sending" && e.Kind != outbox.CloseTask && e.DoubtUntil != nil && now.Before(*e.DoubtUntil) {
			if d.later = true; e.DoubtUntil.After(d.until) {
				d.until = *e.DoubtUntil
			}
			continue
		}
		change, verdict, err := effect(e, lang)
		if err != nil {
			return err
		}
		switch verdict {
		case wait:
			d.later = true
		case drop:
			d.forget = append(d.forget, e.Key)
		case send:
			d.changes, d.keys = append(d.changes, change), append(d.keys, e.Key)
		}
	}
	return nil
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
	h := mapping.Happening{What: t.What, Invoice: t.Invoice, Other: t.Other, Reference: t.Reference, ByHand: t.ByHand, Tag: e.Reference,
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

// write sends a batch, part by part, and records a verdict for every change. Once the CRM asks for a pause, what is left
// goes back to the promises.
func (t *turn) write(ctx context.Context, b *batch) error {
	unread := t.readStages(ctx, b.deals)
	if limited(unread) != "" {
		t.withhold(b.deals, unread)
		unread = nil
	}
	if unread != nil {
		t.halt(unread)
	}
	for i, part := range b.parts {
		var next []*deal
		if i+1 < len(b.parts) {
			next = b.parts[i+1]
		}
		verdicts := t.send(ctx, part)
		if i == 0 && unread != nil { // it counts as if the write had failed
			verdicts = failed(part, unsent(unread))
		}
		if err := t.record(ctx, part, verdicts, next); err != nil {
			return err
		}
	}
	return nil
}

// withhold leaves out the fields of deals that cannot be read for as long as the method that reads them waits.
func (t *turn) withhold(deals []*deal, why error) {
	for _, d := range deals {
		if d.ask {
			d.write, d.changes, d.keys = false, d.changes[1:], d.keys[1:]
			d.later, d.until, d.why = true, later(d.until, t.Now().Add(pause(why))), code(why)
		}
	}
}

// send carries out the changes of these deals and returns a verdict each; nil when the CRM should not be called.
func (t *turn) send(ctx context.Context, deals []*deal) []crm.Verdict {
	if t.halted() != nil {
		return nil
	}
	changes := []crm.Change{}
	for _, d := range deals {
		changes = append(changes, d.changes...)
	}
	if len(changes) == 0 {
		return []crm.Verdict{}
	}
	t.fault("before call")
	began := t.Now()
	verdicts := t.account.Apply(ctx, changes)
	t.fault("after call")
	var failure error
	through, answered := false, false
	for _, v := range verdicts {
		class := crm.ClassOf(v.Err)
		through = through || v.Err == nil || class == crm.Gone || class == crm.Refused
		answered = answered || v.Err == nil || class != crm.Transient
		failure = cmp.Or(failure, v.Err)
	}
	t.called("write", began, len(deals), failure, through)
	if !answered {
		t.halt(failure) // nothing came through: the next part would meet the same
	}
	return verdicts
}

// called remembers a call until the next record.
func (t *turn) called(what string, began time.Time, deals int, err error, through bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, outbox.Call{At: began, What: what, Deals: deals, Outcome: outcome(err), Millis: t.Now().Sub(began).Milliseconds(), Through: through})
}

// outcome is how a call ended, in a word.
func outcome(err error) string {
	if err == nil {
		return outbox.OK
	}
	return code(err)
}

// readStages reads the deals whose new status may move them, or whose pipeline decides which fields are written, and adds
// both to what is written. A deal that cannot be read is not moved; its write will say why.
func (t *turn) readStages(ctx context.Context, deals []*deal) error {
	var names []string
	for _, d := range deals {
		if d.ask {
			names = append(names, d.claim.Key)
		}
	}
	if len(names) == 0 {
		return nil
	}
	began := t.Now()
	read := readDeals
	if len(t.tenant.Settings.Fields) > 0 {
		read = readSurely // what is left out would be written to the wrong fields
	}
	held, err := read(ctx, t.account, names)
	t.called("read", began, len(names), err, err == nil)
	if class := crm.ClassOf(err); err != nil && class != crm.Gone && class != crm.Refused {
		return err
	}
	for _, d := range deals {
		now, ok := held[d.claim.Key]
		if !ok || !d.ask {
			continue
		}
		if d.fields = t.tenant.Settings.Fields[now.Pipeline]; d.move {
			d.place(now, t.tenant.Settings.Stages)
		} else {
			d.stay(now)
		}
	}
	return nil
}

// readSurely is readDeals, but each deal that a list leaves out is asked for by itself before it counts as gone.
func readSurely(ctx context.Context, account crm.Account, names []string) (map[string]crm.Deal, error) {
	held, err := readDeals(ctx, account, names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := held[name]; ok {
			continue
		}
		switch deal, err := account.Deal(ctx, name); {
		case err == nil:
			held[name] = deal
		case crm.ClassOf(err) != crm.Gone && crm.ClassOf(err) != crm.Refused:
			return nil, err
		}
	}
	return held, nil
}

// readDeals reads deals in as few requests as the account can.
func readDeals(ctx context.Context, account crm.Account, names []string) (map[string]crm.Deal, error) {
	if many, ok := account.(crm.DealsReader); ok {
		return many.Deals(ctx, names)
	}
	deals := make(map[string]crm.Deal, len(names))
	for _, name := range names {
		d, err := account.Deal(ctx, name)
		switch class := crm.ClassOf(err); {
		case err == nil:
			deals[name] = d
		case class != crm.Gone && class != crm.Refused:
			return nil, err
		}
	}
	return deals, nil
}
