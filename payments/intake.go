package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// reservedFor is how long a payment that the acquirer was allowed to take keeps others from paying the same invoice, and
// the invoice from expiring or being withdrawn: the confirmation follows within seconds.
const reservedFor = 3 * time.Minute

// reserved says whether an acquirer was told lately that it may take the money of another attempt than this one.
func reserved(ctx context.Context, tx *tenants.Tx, invoice, but uuid.UUID, now time.Time) (bool, error) {
	var found bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM attempts WHERE invoice_id = $1 AND id <> $2 AND reserved_until > $3
		AND status IN ('created', 'pending', 'authorized'))`, invoice, but, now).Scan(&found)
	return found, err
}

// precheck answers the acquirer's question whether it may take this money now: the order is ours, the amount is what was
// asked, and the invoice can still be paid. A yes reserves the invoice for a moment. The question is unsigned, so it
// moves no status.
func (s *Service) precheck(ctx context.Context, tx *tenants.Tx, conn uuid.UUID, reference string, amount Money) (Outcome, error) {
	no := func(why string, deal string, invoice *uuid.UUID) (Outcome, error) {
		return Rejected, tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: tenants.Acquirer, Action: "precheck.refused", DealID: deal, Invoice: invoice},
			map[string]any{"why": why, "reference": reference, "amount": amount})
	}
	a, err := about(ctx, tx, conn, reference, "")
	if errors.Is(err, ErrNotFound) {
		return no("order_unknown", "", nil)
	}
	if err != nil {
		return Broken, err
	}
	in, err := lock(ctx, tx, a.InvoiceID)
	if err != nil {
		return Broken, err
	}
	p, _, err := picture(ctx, tx, in)
	if err != nil {
		return Broken, err
	}
	taken, err := reserved(ctx, tx, in.ID, a.ID, s.Now())
	if err != nil {
		return Broken, err
	}
	_, refused := state.Decide(p, state.Pay)
	switch {
	case amount != Money{Minor: a.Minor, Currency: a.Currency}:
		return no("amount_differs", in.DealID, &in.ID)
	case refused != nil || a.Status == state.AttemptPaid:
		return no("not_payable", in.DealID, &in.ID)
	case !s.Now().Before(in.ExpiresAt):
		return no("expired", in.DealID, &in.ID)
	case a.Minor != p.Outstanding:
		return no("amount_outdated", in.DealID, &in.ID)
	case taken || p.Authorized:
		return no("being_paid", in.DealID, &in.ID)
	}
	if _, err := tx.Exec(ctx, `UPDATE attempts SET reserved_until = $2 WHERE id = $1`, a.ID, s.Now().Add(reservedFor)); err != nil {
		return Broken, fmt.Errorf("reserve: %w", err)
	}
	return Accepted, nil
}

// tell records what an authentic notice itself proves, for an acquirer without a status call. When our answer decides
// about the money, what would need a person is refused instead: the acquirer then gives it back at once.
func (s *Service) tell(ctx context.Context, tx *tenants.Tx, provider Provider, notice uuid.UUID, received time.Time, a Attempt, seen Observation) (Outcome, error) {
	in, err := lock(ctx, tx, a.InvoiceID)
	if err != nil {
		return Broken, err
	}
	if a, err = attempt(ctx, tx, a.ID); err != nil { // as it is now that nobody else changes it
		return Broken, err
	}
	seen.Foreign = seen.Foreign || (seen.Reference != "" && seen.Reference != a.Reference)
	why, err := unwanted(ctx, tx, in, a, seen, s.Now())
	if err != nil {
		return Broken, err
	}
	if _, decides := provider.(Replier); why != "" && decides {
		return Rejected, s.reject(ctx, tx, notice, in, seen, why)
	}
	return Accepted, s.observe(ctx, tx, in, a, seen, evidence{Source: "notice"}.noticed(notice, received, true))
}

// unwanted says why a told payment should not be kept, as a kind of review; empty when it simply pays.
func unwanted(ctx context.Context, tx *tenants.Tx, in Invoice, a Attempt, seen Observation, now time.Time) (string, error) {
	if seen.Status != state.AttemptPaid {
		return "", nil
	}
	if a.Status == state.AttemptPaid && a.ProviderRef != seen.ProviderRef {
		return string(state.SecondPayment), nil
	}
	_, facts, err := picture(ctx, tx, in)
	if err != nil {
		return "", err
	}
	after := state.Fold(in.Amount(), append(facts, state.Fact{Kind: state.Observed, At: now, Attempt: a.ID.String(), Status: seen.Status,
		Amount: seen.Captured, Foreign: seen.Foreign}))
	for _, r := range after.Reviews {
		if r.Attempt == a.ID.String() {
			return string(r.Kind), nil
		}
	}
	return "", nil
}

// reject keeps a refusal, so that the same notice is refused again, says in the audit trail why, and tells a person: the
// acquirer gives the money back by our answer alone, which it may not have got.
func (s *Service) reject(ctx context.Context, tx *tenants.Tx, notice uuid.UUID, in Invoice, seen Observation, why string) error {
	if _, err := tx.Exec(ctx, `UPDATE notices SET outcome = 'rejected' WHERE id = $1`, notice); err != nil {
		return fmt.Errorf("keep the refusal: %w", err)
	}
	var invoice *uuid.UUID
	if in.ID != uuid.Nil {
		invoice = &in.ID
	}
	if err := Raise(ctx, tx, Exception{Kind: SentBack, Key: SentBack + ":" + notice.String(), DealID: in.DealID, InvoiceID: invoice, Minor: seen.Captured.Minor,
		Currency: seen.Captured.Currency, Reference: seen.ProviderRef, OpenedAt: s.Now()}, in.Number); err != nil {
		return err
	}
	return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: tenants.Acquirer, Action: "payment.sent_back", DealID: in.DealID, Invoice: invoice,
		Before: string(in.Status), After: string(in.Status)},
		map[string]any{"why": why, "amount": seen.Captured, "reference": seen.ProviderRef, "notice": notice})
}

// told files what an authentic notice proves. Money that names no attempt of ours goes back where our answer decides;
// elsewhere it is an orphan.
func (s *Service) told(ctx context.Context, tx *tenants.Tx, conn Connection, notice uuid.UUID, heard Heard, n Notice) (Outcome, error) {
	provider := s.Providers[conn.Acquirer]
	seen, err := provider.(Teller).Tell(conn, n)
	if err != nil {
		return Broken, err
	}
	id := uuid.MustParse(conn.ID)
	a, err := about(ctx, tx, id, heard.Reference, heard.ProviderRef)
	if errors.Is(err, ErrNotFound) {
		if _, decides := provider.(Replier); decides {
			return Rejected, s.reject(ctx, tx, notice, Invoice{}, seen, Orphan)
		}
		return Accepted, s.raiseOrphan(ctx, tx, conn, filed{ID: notice, Reference: heard.Reference, ProviderRef: heard.ProviderRef}, seen)
	}
	if err != nil {
		return Broken, err
	}
	if _, err := tx.Exec(ctx, `UPDATE notices SET attempt_id = $2 WHERE id = $1`, notice, a.ID); err != nil {
		return Broken, fmt.Errorf("match notice: %w", err)
	}
	return s.tell(ctx, tx, provider, notice, n.ReceivedAt, a, seen)
}

// raiseOrphan accounts for money that names no attempt of ours; the deal is found by our order number.
func (s *Service) raiseOrphan(ctx context.Context, tx *tenants.Tx, conn Connection, f filed, seen Observation) error {
	e := Exception{Kind: Orphan, Key: Orphan + ":" + conn.ID + ":" + f.ProviderRef + ":" + f.Reference, Minor: seen.Captured.Minor,
		Currency: seen.Captured.Currency, Reference: seen.ProviderRef, OpenedAt: s.Now()}
	number := f.Reference
	if cut := strings.LastIndex(number, "-"); cut > 0 { // our own order numbers are invoice numbers with a suffix
		number = number[:cut]
	}
	in, err := one(tenants.Row[Invoice](ctx, tx, `SELECT `+invoiceColumns+` FROM invoices WHERE number = $1`, number))
	if err == nil {
		e.DealID, e.InvoiceID = in.DealID, &in.ID
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.bookOrphan(ctx, tx, conn, e, in.Number, seen)
}

// outdated ends the wait for an acquirer that cannot be asked: once the link's time is over the attempt is expired, until
// a late notice says otherwise. It returns when to look again.
func (s *Service) outdated(ctx context.Context, tx *tenants.Tx, in Invoice, a Attempt) (time.Time, error) {
	if !a.Status.Live() {
		return time.Time{}, nil
	}
	if s.Now().Before(in.ExpiresAt) {
		return in.ExpiresAt, nil
	}
	return time.Time{}, s.expireAttempt(ctx, tx, in, a)
}

// sealedNotice is what is kept of a notice.
func sealedNotice(tx *tenants.Tx, n Notice) ([]byte, error) {
	raw, err := json.Marshal(map[string]string{"method": n.Method, "query": n.Query, "body": string(n.Body)})
	if err != nil {
		return nil, err
	}
	return tx.Seal("notice", raw)
}
