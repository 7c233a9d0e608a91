package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// tally is what became of a part, so that what is alike is recorded at once.
type tally struct {
	written []outbox.Written
	sent    []outbox.Receipt
	unsent  []string // effects that certainly did not happen
	over    []string // keys of exceptions that ended
	done    []outbox.Claim
	again   []outbox.Claim // let go without a failure, due now
	paused  []outbox.Claim // due when the CRM may be called again
	unready bool           // Setup has to run: what it makes is missing in the CRM, or what it learnt may be no longer so
}

// record keeps the verdicts of a part in one transaction, and marks what the next part sends. Verdicts are nil when
// nothing was sent.
func (t *turn) record(ctx context.Context, part []*deal, verdicts []crm.Verdict, next []*deal) error {
	t.mu.Lock()
	calls := t.calls
	t.calls = nil
	t.mu.Unlock()
	t.books.Lock()
	defer t.books.Unlock()
	err := t.DB.In(context.WithoutCancel(ctx), t.id, func(ctx context.Context, tx *tenants.Tx) error {
		var sum tally
		at := 0
		for _, d := range part {
			if verdicts == nil {
				sum.skip(d)
				continue
			}
			own := verdicts[at : at+len(d.changes)]
			at += len(d.changes)
			if err := t.settle(ctx, tx, &sum, d, own); err != nil {
				return err
			}
		}
		if err := t.book(ctx, tx, sum); err != nil {
			return err
		}
		for _, c := range calls {
			outbox.Called(tx, c)
		}
		if cause := t.halted(); cause != nil {
			return t.rest(ctx, tx, cause)
		}
		outbox.Sending(tx, sending(next), t.Now())
		return nil
	})
	t.fault("recorded")
	if errors.Is(err, outbox.ErrLost) && verdicts != nil {
		err = errors.Join(err, t.outrun(ctx, part))
	}
	return err
}

// outrun has the fields of a part written once more: another worker took the lane over while the part was on its way, and
// what that one wrote may have reached the CRM before what is older.
func (t *turn) outrun(ctx context.Context, part []*deal) error {
	return t.DB.In(context.WithoutCancel(ctx), t.id, func(ctx context.Context, tx *tenants.Tx) error {
		for _, d := range part {
			if !d.write {
				continue
			}
			if err := outbox.Rewrite(ctx, tx, d.claim.Key, false, t.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// book writes a tally down.
func (t *turn) book(ctx context.Context, tx *tenants.Tx, sum tally) error {
	now := t.Now()
	outbox.Wrote(tx, now, sum.written...)
	outbox.Sent(tx, now, sum.sent...)
	outbox.Unsent(tx, sum.unsent...)
	keys := sum.over
	for _, c := range sum.done {
		keys = append(keys, syncKey(c.Key))
	}
	if len(sum.written)+len(sum.sent) > 0 {
		keys = append(keys, letIn...)
	}
	for _, w := range sum.written {
		keys = append(keys, payments.DealGone+":"+w.Deal)
	}
	if err := payments.SettleAll(ctx, tx, keys, tenants.CRM, "", now); err != nil {
		return err
	}
	if err := outbox.Release(ctx, tx, now, sum.again...); err != nil {
		return err
	}
	if err := outbox.Release(ctx, tx, now.Add(pause(t.halted())), sum.paused...); err != nil {
		return err
	}
	if sum.unready {
		outbox.Need(tx, outbox.Setup, "account", now)
	}
	outbox.Recover(tx, now, sum.done)
	return outbox.Done(ctx, tx, now, sum.done...)
}

// skip puts a deal back that was not sent.
func (s *tally) skip(d *deal) {
	s.paused = append(s.paused, d.claim)
	for _, key := range sending([]*deal{d}) {
		if !d.sendingBefore(key) {
			s.unsent = append(s.unsent, key)
		}
	}
}

// unsent is why nothing of a part was sent: what came of the read before it leaves no doubt about a write.
func unsent(read error) error {
	var e *crm.Error
	if !errors.As(read, &e) {
		return read
	}
	sure := *e
	sure.Ambiguous = false
	return &sure
}

// failed is the same verdict for every change of these deals.
func failed(deals []*deal, why error) []crm.Verdict {
	verdicts := []crm.Verdict{}
	for _, d := range deals {
		for range d.changes {
			verdicts = append(verdicts, crm.Verdict{Err: why})
		}
	}
	return verdicts
}

// settle records what became of one deal's changes, and closes its promise or says when to try again.
func (t *turn) settle(ctx context.Context, tx *tenants.Tx, sum *tally, d *deal, verdicts []crm.Verdict) error {
	failure, held := d.failure(verdicts), d.until.After(t.Now())
	if held && crm.ClassOf(failure) == crm.Refused {
		failure = nil // it is tried again with what waits, and given up alone
	}
	for i, v := range verdicts {
		if d.removed(i, v) {
			outbox.Forget(tx, d.keys[i], "no such task")
			continue
		}
		if err := t.settleChange(ctx, tx, sum, d, d.keys[i], v, crm.ClassOf(failure) == crm.Refused); err != nil {
			return err
		}
	}
	for _, key := range d.forget {
		outbox.Forget(tx, key, "no longer needed")
	}
	switch {
	case failure != nil:
		return t.settleFailure(ctx, tx, sum, d, failure)
	case held:
		return outbox.Await(ctx, tx, d.claim, d.until, d.why)
	case d.later:
		sum.again = append(sum.again, d.claim)
	default:
		sum.done = append(sum.done, d.claim)
	}
	return nil
}

// removed says that the task which a change closes was removed by somebody; of the deal that says nothing.
func (d *deal) removed(i int, v crm.Verdict) bool {
	e := d.changes[i].Effect
	return e != nil && e.Kind == crm.CloseTask && crm.ClassOf(v.Err) == crm.Gone
}

// failure is the verdict that decides what follows: the gravest, but what can be tried again goes before what was refused,
// or it would be given up with it. A method that alone has to wait decides only when nothing else failed.
func (d *deal) failure(verdicts []crm.Verdict) error {
	rank := func(err error) int {
		switch class := crm.ClassOf(err); {
		case class == crm.Refused:
			return 0
		case limited(err) != "":
			return 1
		default:
			return 2 + int(class)
		}
	}
	var failure error
	for i, v := range verdicts {
		if v.Err != nil && !d.removed(i, v) && (failure == nil || rank(v.Err) > rank(failure)) {
			failure = v.Err
		}
	}
	return failure
}

// settleChange records one verdict. An effect that may have happened stays marked: the next run looks before it repeats.
// final says that nothing of the deal is tried again.
func (t *turn) settleChange(ctx context.Context, tx *tenants.Tx, sum *tally, d *deal, key string, v crm.Verdict, final bool) error {
	class := crm.ClassOf(v.Err)
	switch {
	case key == "" && v.Err != nil:
	case key == "":
		written, err := json.Marshal(kept{d.want, d.fields})
		if err != nil {
			return err
		}
		sum.written = append(sum.written, outbox.Written{Deal: d.claim.Key, State: written})
		if d.home {
			sum.over = append(sum.over, payments.DealMoved+":"+d.claim.Key)
		}
		if d.stray {
			return t.strayed(ctx, tx, d.claim.Key)
		}
	case v.Err == nil:
		sum.sent = append(sum.sent, outbox.Receipt{Key: key, RemoteID: v.RemoteID})
	case class == crm.Refused && final:
		outbox.Forget(tx, key, class.String())
	case unfinished(v.Err):
		outbox.Doubt(tx, key, t.Now().Add(finishes))
	case ambiguous(v.Err), d.sendingBefore(key): // it may have happened, now or in an earlier run that this one could not check
	default: // of a deal that is gone it waits until the deal is back
		sum.unsent = append(sum.unsent, key)
	}
	return nil //nolint:nilerr // a failed verdict is recorded here; settleFailure says what follows
}

func (d *deal) sendingBefore(key string) bool {
	for _, e := range d.effects {
		if e.Key == key {
			return e.Status == "sending"
		}
	}
	return false
}

// unprepared says whether what Setup makes is missing: somebody deleted a field, or Setup never came through.
func unprepared(err error) bool {
	var e *crm.Error
	return errors.As(err, &e) && e.Unprepared
}

// ambiguous says whether the CRM may have done what failed.
func ambiguous(err error) bool {
	var e *crm.Error
	return errors.As(err, &e) && e.Ambiguous
}

// finishes is how long after our patience ended a CRM may still carry out what it was told.
const finishes = time.Minute

// unfinished says whether the CRM may still be at what failed: it did not answer in time.
func unfinished(err error) bool {
	var late net.Error
	return ambiguous(err) && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout())
}

// settleFailure decides by the failure's class alone.
func (t *turn) settleFailure(ctx context.Context, tx *tenants.Tx, sum *tally, d *deal, failure error) error {
	now := t.Now()
	if limited(failure) != "" { // only what needs this method waits
		return outbox.Await(ctx, tx, d.claim, now.Add(pause(failure)), code(failure))
	}
	t.Log.WarnContext(ctx, "deal not written", "tenant", tx.Tenant(), "deal", d.claim.Key, "err", failure)
	sum.unready = sum.unready || unprepared(failure) || t.outgrown(failure)
	switch crm.ClassOf(failure) {
	case crm.Throttled, crm.Revoked:
		t.halt(failure)
		sum.paused = append(sum.paused, d.claim)
		return nil
	case crm.Gone:
		sum.done = append(sum.done, d.claim)
		return t.gone(ctx, tx, d.claim.Key)
	case crm.Refused:
		if err := t.raise(ctx, tx, d.claim.Key, failure); err != nil {
			return err
		}
		return outbox.Bury(ctx, tx, d.claim, now, code(failure))
	}
	due, dead := retry(d.claim, now)
	if since := d.claim.FailingSince; since != nil && now.Sub(*since) > fastFor {
		if err := t.raise(ctx, tx, d.claim.Key, failure); err != nil {
			return err
		}
	}
	if dead {
		return outbox.Bury(ctx, tx, d.claim, now, code(failure))
	}
	return outbox.Again(ctx, tx, d.claim, now, due, code(failure))
}

// outgrown says whether the CRM refuses what a portal's larger plan would allow. It may have been given up: Setup reads it again.
func (t *turn) outgrown(failure error) bool {
	var e *crm.Error
	return t.tenant.Enterprise && errors.As(failure, &e) && e.Class == crm.Throttled && e.Code != CodeRate && e.Code != CodeAway
}

// raise tells a person that a deal cannot be written. It closes by itself when a later push succeeds.
func (w *Worker) raise(ctx context.Context, tx *tenants.Tx, deal string, failure error) error {
	if err := outbox.Unwritten(ctx, tx, deal, code(failure)); err != nil {
		return err
	}
	return payments.Raise(ctx, tx, payments.Exception{Kind: payments.SyncFailed, Key: syncKey(deal), DealID: deal, OpenedAt: w.Now()}, "")
}

func syncKey(deal string) string { return payments.SyncFailed + ":" + deal }
