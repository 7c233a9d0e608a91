package payments

import (
	"context"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Visit is what the pay page shows of a link.
type Visit struct {
	Tenant   tenants.Tenant
	Invoice  Invoice
	Methods  []string // keys of the acquirers that take what is outstanding, the preferred one first
	Test     bool     // no real money is taken
	Last     *Attempt // the newest attempt: where the customer was sent last
	Checking bool     // the acquirer has not decided yet
	Over     bool     // the link's time has ended, also when nobody has recorded it yet
	Replaced bool     // another link for the same debt took this one's place
}

// checkingFor is how long after the customer came back an undecided attempt counts as being decided. Later the page
// offers to pay again, which leads to the same checkout while that is open.
const checkingFor = 2 * time.Minute

// VisitOf reads what the page of an invoice shows.
func (s *Service) VisitOf(ctx context.Context, id tenants.ID, invoice uuid.UUID) (Visit, error) {
	var v Visit
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		if v.Tenant, err = tx.Me(ctx); err != nil {
			return err
		}
		if v.Invoice, err = Get(ctx, tx, invoice); err != nil {
			return err
		}
		if v.Methods, v.Test, err = s.methods(ctx, tx, v.Invoice); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM invoices WHERE deal_id = $2 AND replaces = $1)`, invoice, v.Invoice.DealID).Scan(&v.Replaced); err != nil {
			return err
		}
		attempts, err := Attempts(ctx, tx, invoice)
		slices.SortFunc(attempts, newestFirst)
		if len(attempts) > 0 {
			v.Last = &attempts[0]
		}
		for _, a := range attempts {
			recent := a.ReturnedAt != nil && s.Now().Sub(*a.ReturnedAt) < checkingFor
			v.Checking = v.Checking || a.Status == state.Authorized || (a.Status.Live() && recent)
		}
		return err
	})
	v.Over = !s.Now().Before(v.Invoice.ExpiresAt)
	return v, err
}

func (s *Service) methods(ctx context.Context, tx *tenants.Tx, in Invoice) (keys []string, test bool, err error) {
	all, err := s.offered(ctx, tx, in.Pipeline, Money{Minor: in.Outstanding, Currency: in.Currency}, in.Acquirer)
	for _, l := range all {
		keys, test = append(keys, l.Acquirer), test || l.Test
	}
	return keys, test, err
}

// Returned notes that the customer came back from the acquirer's page. It proves nothing; it only makes us ask sooner.
func (s *Service) Returned(ctx context.Context, id tenants.ID, invoice uuid.UUID) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE attempts SET returned_at = $2 WHERE id = (
			SELECT id FROM attempts WHERE invoice_id = $1 ORDER BY turn DESC, seq DESC LIMIT 1) AND status IN ('created', 'pending', 'authorized')`, invoice, s.Now())
		return err
	})
}

// glance is how often a waiting customer makes us ask the acquirer.
const glance = 2 * time.Second

// Glance asks the acquirer about an undecided attempt while its customer waits, unless somebody just asked. It works
// without the queue. That the acquirer does not answer changes nothing.
func (s *Service) Glance(ctx context.Context, v Visit) {
	if v.Last == nil || !v.Last.Status.Live() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	mine, err := s.claimGlance(ctx, v)
	if err == nil && mine {
		err = s.Verify(ctx, v.Tenant.ID, v.Last.ID, evidence{Source: "status_answer", AskedAfter: "return"})
	}
	if err != nil {
		s.Log.InfoContext(ctx, "no answer while a customer waits", "tenant", v.Tenant.ID, "attempt", v.Last.ID, "err", err)
	}
}

// claimGlance says whether this reader is the one that asks: of all who wait for an attempt, and however slow the acquirer is,
// one in two seconds does. It is judged by what stands there now, not by what the page was read with.
func (s *Service) claimGlance(ctx context.Context, v Visit) (mine bool, err error) {
	err = s.DB.Lightly(ctx, v.Tenant.ID, func(ctx context.Context, tx *tenants.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE attempts SET glanced_at = $2 WHERE id = $1 AND status IN ('created', 'pending', 'authorized')
			AND greatest(glanced_at, checked_at, '-infinity') <= $3`, v.Last.ID, s.Now(), s.Now().Add(-glance))
		mine = err == nil && tag.RowsAffected() == 1
		return err
	})
	return mine, err
}
