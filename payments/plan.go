package payments

import (
	"context"
	"math/big"
	"regexp"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// NewPlan asks for several invoices of one deal at once. Its parts add up to the whole.
type NewPlan struct {
	NewInvoice               // Terms.Amount is the whole; Terms.ExpiresAt is for parts without a due date
	Parts      []Share       // in the order they are due
	Grace      time.Duration // how long a link lives after its part is due
}

// Share is one invoice of a plan: a percentage of the whole, an amount, or, the last one only, all that is left.
type Share struct {
	Percent string     `json:"percent"` // decimal text, such as "30" or "33.33"
	Minor   int64      `json:"minor"`
	DueAt   *time.Time `json:"due_at"`
	Purpose string     `json:"purpose"` // empty: the plan's
}

// maxParts bounds a plan.
const maxParts = 36

var percentForm = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4})?$`)

// Split divides a whole, in minor units, into parts that are multiples of unit and add up to it exactly. A percentage is
// rounded half up together with those before it, so that no part is more than one unit off. Error: Invalid.
func Split(whole, unit int64, parts []Share) ([]int64, error) {
	if len(parts) < 2 || len(parts) > maxParts {
		return nil, invalid("parts_unusable", "A plan has 2 to %d parts.", maxParts)
	}
	if whole%unit != 0 {
		return nil, invalid("amount_fraction", "The acquirer takes whole amounts only.")
	}
	minors := make([]int64, len(parts))
	sum, percents, rounded := int64(0), new(big.Rat), int64(0)
	for i, p := range parts {
		switch rest := i == len(parts)-1; {
		case p.Percent != "" && p.Minor == 0:
			share, ok := new(big.Rat).SetString(p.Percent)
			if !ok || !percentForm.MatchString(p.Percent) {
				return nil, invalid("percent_unusable", "%q is not a percentage such as 30 or 33.33.", p.Percent)
			}
			percents.Add(percents, share)
			exact := new(big.Rat).Mul(percents, big.NewRat(whole, 100))
			upTo := roundTo(exact, unit).Int64()
			minors[i], rounded = upTo-rounded, upTo
		case p.Percent == "" && p.Minor > 0 && p.Minor%unit == 0:
			minors[i] = p.Minor
		case p.Percent == "" && p.Minor == 0 && rest:
			minors[i] = whole - sum
		default:
			return nil, invalid("part_unusable", "Part %d needs a percentage or an amount the acquirer can take; only the last may be the rest.", i+1)
		}
		if minors[i] <= 0 {
			return nil, invalid("part_unusable", "Part %d would be nothing.", i+1)
		}
		sum += minors[i]
	}
	if sum != whole {
		return nil, invalid("parts_differ", "The parts do not add up to the whole.")
	}
	return minors, nil
}

// Plan makes the invoices and links of a plan, such as deposit and remainder. The same key with the same request returns
// the earlier ones. Errors: as Create.
func (s *Service) Plan(ctx context.Context, id tenants.ID, by By, in NewPlan) ([]Invoice, error) {
	var made []Invoice
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		made = nil
		plan := tenants.NewUUID()
		ref, seen, err := tx.Once(ctx, in.Key, planning(in.DealID, in.Request), plan.String())
		if err != nil {
			return err
		}
		if seen {
			made, err = planned(ctx, tx, ref)
			return err
		}
		if err := in.Terms.check(s.Now()); err != nil {
			return err
		}
		in.plan = &plan
		shares, err := s.shares(ctx, tx, in)
		if err != nil {
			return err
		}
		for i := range in.Parts {
			one, err := s.part(ctx, tx, by, in, i, shares[i])
			if err != nil {
				return err
			}
			made = append(made, one)
		}
		return nil
	})
	return made, err
}

// Planned returns the invoices that an earlier request with this key made, so that repeating it needs nobody else's
// answer. Error: tenants.ErrOtherBody.
func (s *Service) Planned(ctx context.Context, id tenants.ID, deal, key string, request []byte) (made []Invoice, seen bool, err error) {
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var ref string
		if ref, seen, err = tx.Seen(ctx, key, planning(deal, request)); err == nil && seen {
			made, err = planned(ctx, tx, ref)
		}
		return err
	})
	return made, seen, err
}

// planning is what a plan's idempotency key stands for.
func planning(deal string, request []byte) []byte {
	return append([]byte("plan "+deal+" "), request...)
}

func planned(ctx context.Context, tx *tenants.Tx, ref string) ([]Invoice, error) {
	return tenants.Rows[Invoice](ctx, tx, `SELECT `+invoiceColumns+` FROM invoices WHERE plan_id = $1 ORDER BY id`, ref)
}

// shares are the parts as they are asked for, and, with another currency to pay in, as they count in the deal: both add
// up to their whole.
func (s *Service) shares(ctx context.Context, tx *tenants.Tx, in NewPlan) ([]quote, error) {
	whole, err := s.quote(ctx, tx, in.NewInvoice)
	if err != nil {
		return nil, err
	}
	unit, err := s.unit(ctx, tx, in.Pipeline, whole.charge.Currency, in.Acquirer, whole.charge.Minor)
	if err != nil {
		return nil, err
	}
	claimUnit := unit
	if whole.claim != nil {
		claimUnit = 1
	}
	claims, err := Split(in.Terms.Amount.Minor, claimUnit, in.Parts)
	if err != nil {
		return nil, err
	}
	shares := make([]quote, len(claims))
	sum, charged := int64(0), int64(0)
	for i, minor := range claims {
		claim := Money{Minor: minor, Currency: in.Terms.Amount.Currency}
		shares[i] = quote{charge: claim}
		if whole.claim == nil {
			continue
		}
		sum += minor
		exact := new(big.Rat).Mul(big.NewRat(whole.charge.Minor, 1), big.NewRat(sum, in.Terms.Amount.Minor))
		upTo := roundTo(exact, unit).Int64()
		if i == len(claims)-1 {
			upTo = whole.charge.Minor
		}
		shares[i] = quote{charge: Money{Minor: upTo - charged, Currency: whole.charge.Currency}, claim: &claim, rate: whole.rate, rateFrom: whole.rateFrom}
		if charged = upTo; shares[i].charge.Minor <= 0 {
			return nil, invalid("part_unusable", "Part %d would be nothing in %s.", i+1, whole.charge.Currency)
		}
	}
	return shares, nil
}

// part makes one invoice of a plan.
func (s *Service) part(ctx context.Context, tx *tenants.Tx, by By, in NewPlan, i int, q quote) (Invoice, error) {
	p, one := in.Parts[i], in.NewInvoice
	one.Terms.Amount, one.DueAt = q.charge, p.DueAt
	if q.claim != nil {
		one.Terms.Amount = *q.claim
	}
	if p.Purpose != "" {
		one.Terms.Purpose = p.Purpose
	}
	one.Part = "instalment"
	if len(in.Parts) == 2 && in.Parts[0].DueAt == nil {
		one.Part = []string{"deposit", "remainder"}[i]
	}
	if p.DueAt != nil {
		if i > 0 && in.Parts[i-1].DueAt != nil && p.DueAt.Before(*in.Parts[i-1].DueAt) {
			return Invoice{}, invalid("due_order", "Part %d is due before the one before it.", i+1)
		}
		if !p.DueAt.After(s.Now()) {
			return Invoice{}, invalid("due_past", "Part %d is due in the past.", i+1)
		}
		one.Terms.ExpiresAt = p.DueAt.Add(in.Grace)
	}
	if err := one.Terms.check(s.Now()); err != nil {
		return Invoice{}, err
	}
	return s.insert(ctx, tx, tenants.NewUUID(), by, one, q)
}

// Replace makes a new invoice for the debt of an earlier one and retires that one's link; what is left out is as it was.
// The acquirers are asked first; money that still comes for the old link needs a person. Errors: as Create, and ErrNotFound, ErrState (money came for
// it already, or it was withdrawn), ErrBeingChecked.
func (s *Service) Replace(ctx context.Context, id tenants.ID, by By, old uuid.UUID, in NewInvoice) (Invoice, error) {
	if err := s.askBefore(ctx, id, old); err != nil {
		return Invoice{}, err
	}
	var made Invoice
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		fresh := tenants.NewUUID()
		ref, seen, err := tx.Once(ctx, in.Key, append([]byte("replace "+old.String()+" "), in.Request...), fresh.String())
		if err != nil {
			return err
		}
		if seen {
			made, err = Get(ctx, tx, uuid.MustParse(ref))
			return err
		}
		was, err := lock(ctx, tx, old)
		if err != nil {
			return err
		}
		p, err := s.soon(ctx, tx, was)
		if err != nil {
			return err
		}
		answer, err := state.Decide(p, state.Cancel)
		if err != nil {
			return err
		}
		if answer == state.Ignore {
			return ErrState
		}
		next := was.again(in)
		if err := next.Terms.check(s.Now()); err != nil {
			return err
		}
		if err := s.withdraw(ctx, tx, was, by, "invoice.superseded", evidence{Source: "person", Reference: fresh.String()}); err != nil {
			return err
		}
		q, err := s.quote(ctx, tx, next)
		if err != nil {
			return err
		}
		made, err = s.insert(ctx, tx, fresh, by, next, q)
		return err
	})
	return made, err
}

// again is a request for the same debt as i, with what in changes. The rate is asked for anew.
func (i Invoice) again(in NewInvoice) NewInvoice {
	in.DealID, in.Part, in.DueAt, in.replaces = i.DealID, i.Part, i.DueAt, &i.ID
	given := in.Terms
	in.Terms = Terms{Amount: i.Claim(), Purpose: i.Purpose, ExpiresAt: given.ExpiresAt}.with(given)
	if in.Acquirer == "" {
		in.Acquirer = i.Acquirer
	}
	if in.OwnerID == "" {
		in.OwnerID = i.OwnerID
	}
	if in.Pipeline == "" {
		in.Pipeline = i.Pipeline
	}
	if in.Customer == "" {
		in.Customer = i.Customer
	}
	if in.Whole == (Money{}) {
		in.Whole.Currency = i.DealCurrency
		if i.DealMinor != nil {
			in.Whole.Minor = *i.DealMinor
		}
	}
	return in
}
