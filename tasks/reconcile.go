package tasks

import (
	"context"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

const (
	// reconcileSlice is how long a run works before it goes to the back of the queue.
	reconcileSlice = 15 * time.Second
	// reconcileWaits is how long a run waits for an acquirer that cannot be reached. Later it goes on without the answer.
	reconcileWaits = time.Hour
)

// reconcile keeps the promise to compare acquirer, ledger and CRM, slice by slice. How far it came stands in the run's row,
// so a worker that is killed costs one attempt's comparison.
func (w *Worker) reconcile(ctx context.Context, id tenants.ID, c outbox.Claim) (time.Time, error) {
	ctx = crm.WithPriority(ctx, crm.Housekeeping)
	ends := w.Now().Add(reconcileSlice)
	for {
		s, err := w.Payments.NextStretch(ctx, id, c.Key)
		if err != nil {
			return time.Time{}, err
		}
		if len(s.Attempts) == 0 {
			return time.Time{}, w.Payments.Finish(ctx, id, s.Run)
		}
		if s.Run.CRMSkipped == "" {
			if err := w.compareDeals(ctx, id, s); err != nil {
				return time.Time{}, err
			}
		}
		waited := s.Run.Unanswered > 0 || (c.FailingSince != nil && w.Now().Sub(*c.FailingSince) > reconcileWaits)
		for _, a := range s.Attempts {
			if err := w.Payments.Compare(ctx, id, s.Run, a, !waited); err != nil {
				return time.Time{}, err
			}
			w.fault("compared")
			if !w.Now().Before(ends) {
				return w.Now(), nil
			}
		}
	}
}

// compareDeals compares what the CRM's cards hold of these deals with what the payments say. Without access the run goes
// on without the CRM, and says so.
func (w *Worker) compareDeals(ctx context.Context, id tenants.ID, s payments.Stretch) error {
	account, tenant, err := w.Accounts.Account(ctx, id)
	var held map[string]crm.Deal
	if err == nil {
		held, err = readDeals(ctx, account, s.Deals)
	}
	if class := crm.ClassOf(err); err != nil && (class == crm.Revoked || class == crm.Refused) {
		return w.Payments.SkipCRM(ctx, id, s.Run.ID, class.String())
	}
	if err != nil {
		return err
	}
	var differ []payments.Differs
	var compared []string
	err = w.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		differ, compared = nil, nil
		mine, err := w.Payments.DealsOf(ctx, tx, s.Deals)
		if err != nil {
			return err
		}
		for _, deal := range s.Deals {
			sync, err := outbox.SyncOf(ctx, tx, deal)
			if err != nil {
				return err
			}
			if sync.State == "waiting" || (sync.WrittenAt != nil && w.Now().Sub(*sync.WrittenAt) < time.Minute) {
				continue // it was being written while we read
			}
			compared = append(compared, deal)
			now, there := held[deal]
			want, was := desired(mine[deal]), kept{}
			if sync.Written != nil {
				if err := was.read(sync.Written); err != nil {
					return err
				}
			}
			if d := differs(want, seen(now.Written, want, was, tenant.Settings), sync, there); d != nil {
				d.Deal = deal
				differ = append(differ, *d)
				outbox.Promise(tx, outbox.Review, w.Now(), deal) // what the CRM did not tell of is looked at, and repaired where it is to be
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Payments.CompareCRM(ctx, id, s.Run, compared, differ)
}

// differs compares one deal; nil when the CRM holds what it should.
func differs(want, held crm.State, sync outbox.Sync, there bool) *payments.Differs {
	d := &payments.Differs{Ours: card(want)}
	switch {
	case !there:
		d.Theirs = "no such deal"
	case sync.State == "failed":
		d.Theirs = "not written: " + sync.Reason
	case held.Status == want.Status && same(held.Paid, want.Paid) && same(held.Refunded, want.Refunded) && held.Reference == want.Reference:
		return nil
	default:
		d.Theirs = card(held)
	}
	return d
}

// card is what a deal's fields say of money, in a line.
func card(s crm.State) string {
	return fmt.Sprintf("%s, paid %s %s, refunded %s %s, reference %q", s.Status, s.Paid.Decimal, s.Paid.Currency, s.Refunded.Decimal, s.Refunded.Currency, s.Reference)
}
