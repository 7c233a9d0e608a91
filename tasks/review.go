package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

const (
	// echoes is how long after a write of ours the CRM's events of that deal are waited for, so that all of them cost one
	// look. They carry no mark of who caused them: only what the deal holds tells our own echo from somebody's hand.
	echoes = 10 * time.Second
	// mostRepairs is how often in a row a deal is repaired. Then something in the CRM insists, and a person has to look.
	mostRepairs = 3
	// calmed is how long after the last repair the next one begins a new row.
	calmed = time.Hour
)

// Reviews looks at the deals of a tenant that its CRM reported as changed: all that are due, in as few requests as the
// CRM can. One worker at a time does so for a tenant, since all would wait for the same room at the CRM.
func (w *Worker) Reviews(ctx context.Context, id tenants.ID) error {
	var claims []outbox.Claim
	err := w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		claims, err = outbox.TakeAlone(ctx, tx, outbox.Review, tenants.NewUUID(), w.Now(), lease, batchDeals)
		return err
	})
	if err != nil || len(claims) == 0 {
		return err
	}
	w.fault("claimed")
	work, stop := context.WithTimeout(crm.WithPriority(ctx, crm.Housekeeping), callTime)
	defer stop()
	work, alive := w.keepAlive(work, stop, id, func(ctx context.Context, tx *tenants.Tx, until time.Time) error {
		return outbox.Renew(ctx, tx, claims, until)
	})
	r := &review{Worker: w, id: id}
	r.run(work, claims)
	alive()
	w.fault("worked")
	err = r.close(ctx)
	w.fault("closed")
	if errors.Is(err, outbox.ErrLost) {
		return nil
	}
	if err == nil && len(claims) == batchDeals {
		w.Remind([]tenants.Reminder{{Tenant: id, Kind: string(outbox.Review)}})
	}
	return err
}

// review is one look at reported deals.
type review struct {
	*Worker
	id     tenants.ID
	tenant tenants.Tenant

	done, failed []outbox.Claim
	later        map[time.Time][]outbox.Claim // when their turn comes
	failure      error                        // of what was done for those that failed
	call         *outbox.Call
}

// run sorts the claims out, and looks at those deals of ours that are at rest.
func (r *review) run(ctx context.Context, claims []outbox.Claim) {
	look, seen, err := r.sort(ctx, claims)
	if err != nil || len(look) == 0 {
		r.fail(claims, err)
		return
	}
	account, tenant, err := r.Accounts.Account(ctx, r.id)
	r.tenant = tenant
	var held map[string]crm.Deal
	if err == nil {
		held, err = r.read(ctx, account, look)
	}
	var judged, changed []outbox.Claim
	if err == nil {
		err = r.DB.In(ctx, r.id, func(ctx context.Context, tx *tenants.Tx) (err error) {
			judged, changed, err = r.judge(ctx, tx, look, seen, held)
			return err
		})
	}
	if err != nil {
		r.fail(look, err)
		return
	}
	r.done = append(r.done, judged...)
	for _, c := range changed {
		r.wait(c, r.Now().Add(echoes))
	}
}

// fail keeps the claims for a later try, unless err is nil.
func (r *review) fail(claims []outbox.Claim, err error) {
	if err != nil {
		r.failed, r.failure = claims, err
	}
}

// sort finds the claims of deals that we have written, or could not since they were gone, and that are at rest. Others are
// done, or wait: for a push that is under way, and for the rest of our own write's echo.
func (r *review) sort(ctx context.Context, claims []outbox.Claim) (look []outbox.Claim, seen map[string]outbox.Sync, err error) {
	var mine map[string]payments.Deal
	err = r.DB.In(ctx, r.id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		names := keysOf(claims)
		if mine, err = r.Payments.DealsOf(ctx, tx, names); err != nil {
			return err
		}
		seen, err = outbox.SyncsOf(ctx, tx, names)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	r.later = map[time.Time][]outbox.Claim{}
	now := r.Now()
	for _, c := range claims {
		s := seen[c.Key]
		switch {
		case len(mine[c.Key].Invoices) == 0 || s.Written == nil && !missing(s):
			r.done = append(r.done, c)
		case s.State == "waiting":
			due := now
			if s.NextTry != nil && s.NextTry.After(now) {
				due = *s.NextTry
			}
			r.wait(c, due.Add(echoes))
		case s.WrittenAt != nil && now.Before(s.WrittenAt.Add(echoes)):
			r.wait(c, s.WrittenAt.Add(echoes))
		default:
			look = append(look, c)
		}
	}
	return look, seen, nil
}

func (r *review) wait(c outbox.Claim, due time.Time) { r.later[due] = append(r.later[due], c) }

func keysOf(claims []outbox.Claim) []string {
	keys := make([]string, len(claims))
	for i, c := range claims {
		keys[i] = c.Key
	}
	return keys
}

// read reads the deals.
func (r *review) read(ctx context.Context, account crm.Account, look []outbox.Claim) (held map[string]crm.Deal, err error) {
	began := r.Now()
	defer func() {
		r.call = &outbox.Call{At: began, What: "read", Deals: len(look), Outcome: outcome(err), Millis: r.Now().Sub(began).Milliseconds(), Through: err == nil}
	}()
	return readSurely(ctx, account, keysOf(look))
}

// judge compares what the deals hold with what we wrote. Those that changed since they were sorted are looked at again.
func (r *review) judge(ctx context.Context, tx *tenants.Tx, look []outbox.Claim, seen map[string]outbox.Sync, held map[string]crm.Deal) (judged, changed []outbox.Claim, err error) {
	names := keysOf(look)
	mine, err := r.Payments.DealsOf(ctx, tx, names)
	if err != nil {
		return nil, nil, err
	}
	now, err := outbox.SyncsOf(ctx, tx, names)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range look {
		s, before := now[c.Key], seen[c.Key].WrittenAt
		if s.State == "waiting" || (s.WrittenAt == nil) != (before == nil) || before != nil && !s.WrittenAt.Equal(*before) {
			changed = append(changed, c)
			continue
		}
		judged = append(judged, c)
		switch deal, there := held[c.Key]; {
		case !there:
			err = r.gone(ctx, tx, c.Key)
		case missing(s):
			err = r.back(ctx, tx, c.Key)
		default:
			err = r.judgeDeal(ctx, tx, s, deal, desired(mine[c.Key]))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return judged, changed, nil
}

// missing says that the deal was gone when it was last to be written.
func missing(s outbox.Sync) bool { return s.State == "failed" && s.Reason == crm.Gone.String() }

// back has a deal written that was gone.
func (r *review) back(ctx context.Context, tx *tenants.Tx, deal string) error {
	if err := payments.Settle(ctx, tx, payments.DealGone+":"+deal, tenants.CRM, "", r.Now()); err != nil {
		return err
	}
	return outbox.Rewrite(ctx, tx, deal, false, r.Now())
}

func (r *review) judgeDeal(ctx context.Context, tx *tenants.Tx, s outbox.Sync, held crm.Deal, want crm.State) error {
	var had kept
	if err := had.read(s.Written); err != nil {
		return err
	}
	if !equal(had.State, want) {
		return outbox.Make(ctx, tx, outbox.Push, s.Deal, r.Now()) // it will be written in any case
	}
	learned := had
	if err := r.judgePlace(ctx, tx, held, &learned.State); err != nil {
		return err
	}
	if !maps.Equal(had.Fields, r.tenant.Settings.Fields[held.Pipeline]) { // other fields than it was written to
		return errors.Join(r.learn(ctx, tx, s, learned), outbox.Rewrite(ctx, tx, s.Deal, false, r.Now()))
	}
	what := overwritten(seen(held.Written, had.State, had, r.tenant.Settings), had.State)
	moved := had.Stage != "" && learned.Stage != "" && held.Stage != had.Stage
	if moved {
		what = append(what, "stage")
	}
	return r.judgeWhat(ctx, tx, s, learned, what, moved && r.tenant.Settings.RepairsStage() && !held.Closed)
}

// judgePlace learns in which pipeline the deal is. One that somebody moved to another pipeline stays there; when nothing is
// mapped there, a person is told.
func (r *review) judgePlace(ctx context.Context, tx *tenants.Tx, held crm.Deal, learned *crm.State) error {
	from := learned.Pipeline
	if learned.Pipeline = held.Pipeline; from == "" || from == held.Pipeline {
		return nil
	}
	learned.Stage = ""
	if err := tx.Audit(ctx, tenants.Entry{At: r.Now(), Actor: tenants.CRM, Action: "deal.moved", DealID: held.ID, Before: from, After: held.Pipeline}, nil); err != nil {
		return err
	}
	stages := mapping.Stages(r.tenant.Settings.Stages)
	switch {
	case stages.Strayed(from, held):
		return r.strayed(ctx, tx, held.ID)
	case stages.Knows(held.Pipeline):
		return payments.Settle(ctx, tx, payments.DealMoved+":"+held.ID, tenants.CRM, "", r.Now())
	}
	return nil
}

// strayed tells a person of a deal that is in a pipeline in which nothing is mapped.
func (w *Worker) strayed(ctx context.Context, tx *tenants.Tx, deal string) error {
	return payments.Raise(ctx, tx, payments.Exception{Kind: payments.DealMoved, Key: payments.DealMoved + ":" + deal, DealID: deal, OpenedAt: w.Now()}, "")
}

// judgeWhat shows what was overwritten, and repairs or leaves it.
func (r *review) judgeWhat(ctx context.Context, tx *tenants.Tx, s outbox.Sync, learned kept, what []string, stage bool) error {
	key := payments.Overwritten + ":" + s.Deal
	if len(what) == 0 {
		if err := outbox.Intact(ctx, tx, s.Deal); err != nil {
			return err
		}
		return errors.Join(payments.Settle(ctx, tx, key, tenants.CRM, "", r.Now()), r.learn(ctx, tx, s, learned))
	}
	fields := len(what) > 1 || what[0] != "stage"
	repair, repairs := stage || fields && r.tenant.Settings.RepairsFields(), 0
	if repair {
		if repairs = 1; s.OverwrittenAt != nil && r.Now().Sub(*s.OverwrittenAt) < calmed {
			repairs = s.Repairs + 1
		}
		if repairs > mostRepairs {
			repair, repairs = false, 0
			if err := payments.Raise(ctx, tx, payments.Exception{Kind: payments.Overwritten, Key: key, DealID: s.Deal, OpenedAt: r.Now()}, ""); err != nil {
				return err
			}
		}
	}
	if !repair && slices.Contains(what, "stage") { // where a person put it is where it belongs from now on
		learned.Stage = ""
	}
	if err := r.learn(ctx, tx, s, learned); err != nil {
		return err
	}
	if !repair && !s.Repaired && fmt.Sprint(s.Overwritten) == fmt.Sprint(what) {
		return nil // shown already
	}
	if err := tx.Audit(ctx, tenants.Entry{At: r.Now(), Actor: tenants.CRM, Action: "deal.overwritten", DealID: s.Deal},
		map[string]any{"what": what, "repaired": repair}); err != nil {
		return err
	}
	if err := outbox.Overwritten(ctx, tx, s.Deal, what, r.Now(), repairs); err != nil || !repair {
		return err
	}
	return outbox.Rewrite(ctx, tx, s.Deal, stage, r.Now())
}

func (r *review) learn(ctx context.Context, tx *tenants.Tx, s outbox.Sync, learned kept) error {
	state, err := json.Marshal(learned)
	if err != nil || string(state) == string(s.Written) {
		return err
	}
	return outbox.Learned(ctx, tx, outbox.Written{Deal: s.Deal, State: state})
}

// overwritten names the fields that hold something else than what was written. Times are left out: CRMs round them.
func overwritten(held, had crm.State) []string {
	var what []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"status", held.Status == had.Status}, {"paid", same(held.Paid, had.Paid)}, {"refunded", same(held.Refunded, had.Refunded)},
		{"outstanding", same(held.Outstanding, had.Outstanding)}, {"link", held.Link == had.Link}, {"reference", held.Reference == had.Reference},
	} {
		if !f.same {
			what = append(what, f.name)
		}
	}
	return what
}

// same compares amounts as numbers: CRMs add and drop zeros, and show no amount as nothing.
func same(a, b crm.Money) bool {
	x, y := digits(a.Decimal), digits(b.Decimal)
	return x == y && (x == "" || a.Currency == b.Currency)
}

// digits is a decimal without zeros that say nothing; "" is zero.
func digits(decimal string) string {
	if strings.Contains(decimal, ".") {
		decimal = strings.TrimSuffix(strings.TrimRight(decimal, "0"), ".")
	}
	return strings.TrimLeft(decimal, "0")
}

// close records what became of the claims.
func (r *review) close(ctx context.Context) error {
	return r.DB.In(context.WithoutCancel(ctx), r.id, func(ctx context.Context, tx *tenants.Tx) error {
		now := r.Now()
		if r.call != nil {
			outbox.Called(tx, *r.call)
			if r.call.Through {
				if err := payments.SettleAll(ctx, tx, letIn, tenants.CRM, "", now); err != nil {
					return err
				}
			}
		}
		if err := outbox.Done(ctx, tx, now, r.done...); err != nil {
			return err
		}
		for due, claims := range r.later {
			if err := outbox.Release(ctx, tx, due, claims...); err != nil {
				return err
			}
		}
		if r.failure != nil && postponed(r.failure) {
			if err := r.shutOut(ctx, tx, r.failure); err != nil {
				return err
			}
			return outbox.Release(ctx, tx, now.Add(pause(r.failure)), r.failed...)
		}
		for _, c := range r.failed {
			if err := r.settleFailed(ctx, tx, c, r.failure); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *Worker) gone(ctx context.Context, tx *tenants.Tx, deal string) error {
	if err := outbox.Unwritten(ctx, tx, deal, crm.Gone.String()); err != nil {
		return err
	}
	return payments.Raise(ctx, tx, payments.Exception{Kind: payments.DealGone, Key: payments.DealGone + ":" + deal, DealID: deal, OpenedAt: w.Now()}, "")
}
