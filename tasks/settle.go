package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// settle records what became of one deal's changes, and closes its promise or says when to try again.
func (w *Worker) settle(ctx context.Context, tx *tenants.Tx, b *batch, d *deal, verdicts []crm.Verdict) error {
	var failure error
	for i, v := range verdicts {
		if v.Err != nil && (failure == nil || crm.ClassOf(v.Err) > crm.ClassOf(failure)) {
			failure = v.Err
		}
		if err := w.settleChange(ctx, tx, d, d.keys[i], v); err != nil {
			return err
		}
	}
	for _, key := range d.forget {
		if err := outbox.Forget(ctx, tx, key, "no longer needed"); err != nil {
			return err
		}
	}
	if failure != nil {
		return w.settleFailure(ctx, tx, b, d, failure)
	}
	if err := payments.Settle(ctx, tx, syncKey(d.claim.Key), tenants.CRM, "", w.Now()); err != nil {
		return err
	}
	if d.later {
		return outbox.Again(ctx, tx, d.claim, w.Now(), w.Now(), "")
	}
	return outbox.Done(ctx, tx, w.Now(), d.claim)
}

// settleChange records one verdict. An effect that may have happened stays marked: the next run looks before it repeats.
func (w *Worker) settleChange(ctx context.Context, tx *tenants.Tx, d *deal, key string, v crm.Verdict) error {
	if key == "" {
		if v.Err != nil {
			return nil //nolint:nilerr // settleFailure says what follows
		}
		written, err := json.Marshal(d.want)
		if err != nil {
			return err
		}
		return outbox.Wrote(ctx, tx, d.claim.Key, written, w.Now())
	}
	if v.Err == nil {
		return outbox.Sent(ctx, tx, key, v.RemoteID, w.Now())
	}
	switch class := crm.ClassOf(v.Err); {
	case class == crm.Gone || class == crm.Refused:
		return outbox.Forget(ctx, tx, key, class.String())
	case ambiguous(v.Err):
		return nil
	case d.sendingBefore(key): // it may have happened in an earlier run, and this one did not get to look
		return nil
	}
	return outbox.Unsent(ctx, tx, key, code(v.Err))
}

func (d *deal) sendingBefore(key string) bool {
	for _, e := range d.effects {
		if e.Key == key {
			return e.Status == "sending"
		}
	}
	return false
}

// ambiguous says whether the CRM may have done what failed.
func ambiguous(err error) bool {
	var e *crm.Error
	return errors.As(err, &e) && e.Ambiguous
}

// settleFailure decides by the failure's class alone.
func (w *Worker) settleFailure(ctx context.Context, tx *tenants.Tx, b *batch, d *deal, failure error) error {
	now := w.Now()
	w.Log.WarnContext(ctx, "deal not written", "tenant", tx.Tenant(), "deal", d.claim.Key, "err", failure)
	switch crm.ClassOf(failure) {
	case crm.Throttled:
		b.stop = failure
		return outbox.Again(ctx, tx, d.claim, now, now.Add(pause(failure)), "")
	case crm.Revoked:
		b.stop = failure
		return outbox.Again(ctx, tx, d.claim, now, now.Add(time.Minute), "")
	case crm.Gone:
		if err := w.gone(ctx, tx, d.claim.Key); err != nil {
			return err
		}
		return outbox.Done(ctx, tx, now, d.claim)
	case crm.Refused:
		if err := w.raise(ctx, tx, d.claim.Key); err != nil {
			return err
		}
		return outbox.Bury(ctx, tx, d.claim, now, code(failure))
	}
	due, dead := retry(d.claim, now)
	if since := d.claim.FailingSince; since != nil && now.Sub(*since) > fastFor {
		if err := w.raise(ctx, tx, d.claim.Key); err != nil {
			return err
		}
	}
	if dead {
		return outbox.Bury(ctx, tx, d.claim, now, code(failure))
	}
	return outbox.Again(ctx, tx, d.claim, now, due, code(failure))
}

func (w *Worker) raise(ctx context.Context, tx *tenants.Tx, deal string) error {
	if err := outbox.Unwritten(ctx, tx, deal, "refused"); err != nil {
		return err
	}
	return payments.Raise(ctx, tx, payments.Exception{Kind: payments.SyncFailed, Key: syncKey(deal), DealID: deal, OpenedAt: w.Now()}, "")
}

func syncKey(deal string) string { return payments.SyncFailed + ":" + deal }
