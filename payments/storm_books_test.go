package payments_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// sums is the money of one attempt, in minor units of one currency.
type sums struct {
	currency                     string
	captured, refunded, disputed int64 // disputed: withheld or lost
}

func (m sums) net() int64 { return m.captured - m.refunded - m.disputed }

// booked is what the ledger holds of an attempt.
type booked struct {
	ID        uuid.UUID `db:"id"`
	Invoice   uuid.UUID `db:"invoice_id"`
	Reference string    `db:"reference"`
	Number    int64     `db:"number"`
	Provider  string    `db:"provider_ref"`
	Currency  string    `db:"currency"` // of the money; empty when none was taken
	Captured  int64     `db:"captured"`
	Refunded  int64     `db:"refunded"`
	Disputed  int64     `db:"disputed"`
}

func (b booked) sums() sums { return sums{b.Currency, b.Captured, b.Refunded, b.Disputed} }

// compare looks at everything when all is over.
func (s *storm) compare() {
	if s.tellsOnly() {
		s.bringRegister()
	}
	var ours []booked
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		ours, err = tenants.Rows[booked](ctx, tx, `SELECT a.id, a.invoice_id, a.reference, coalesce(a.order_number, a.number) AS number, a.provider_ref, coalesce(max(e.currency), '') AS currency,
				coalesce(sum(e.minor) FILTER (WHERE e.kind = 'capture'), 0)::bigint AS captured,
				coalesce(-sum(e.minor) FILTER (WHERE e.kind = 'refund'), 0)::bigint AS refunded,
				coalesce(-sum(e.minor) FILTER (WHERE e.kind LIKE 'chargeback%'), 0)::bigint AS disputed
			FROM attempts a LEFT JOIN ledger_entries e ON e.attempt_id = a.id AND e.account LIKE 'acquirer:%' GROUP BY a.tenant_id, a.id`)
		return err
	})
	for _, b := range ours {
		theirs, undone := s.theirs(b)
		mine := b.sums()
		if mine != theirs && !(undone && mine.net() == 0 && theirs.net() == 0) { // undone before we saw that it had been taken
			s.Errorf("attempt %s (%s): ours %+v, theirs %+v\n%s", b.Reference, b.Provider, mine, theirs, s.story(b))
		}
	}
	s.totals()
	s.folded()
	s.forgeries()
	s.Logf("%d invoices, %d attempts, %d payments in the books; deeds and faults %v; notices %v, %d refused", len(s.invoices), len(ours), len(s.server.Books()),
		s.tally, s.post.tally, s.post.refused)
}

// bringRegister imports the acquirer's register, where it cannot be asked, and looks at every day again: what a lost notice
// should have told stands nowhere else.
func (s *storm) bringRegister() {
	lines := []string{"type,order,ref,amount,fee,settled"}
	first, last := s.Now(), time.Time{}
	for _, e := range s.server.Books() {
		if e.Captured > 0 && e.Status != acquirertest.Cancelled { // what our answer sent back is in no register
			amount := payments.Money{Minor: e.Captured, Currency: e.Currency}
			lines = append(lines, fmt.Sprintf("sale,%s,%s,%s,,%s", e.Order, e.Ref, amount.Decimal(), s.Now().Format(time.DateOnly)))
		}
	}
	require.NoError(s, s.SaveMapping(s.Context(), s.ID, s.By, s.key, tillsColumns))
	_, err := s.Import(s.Context(), s.ID, s.By, s.key, []byte(strings.Join(lines, "\n")))
	require.NoError(s, err)
	for _, in := range s.invoices {
		if in.CreatedAt.Before(first) {
			first = in.CreatedAt
		}
		if in.CreatedAt.After(last) {
			last = in.CreatedAt
		}
	}
	for day := first.AddDate(0, 0, 6).Truncate(24 * time.Hour); day.Before(last.AddDate(0, 0, 7)); day = day.AddDate(0, 0, 7) {
		_, err := s.night(day.Format(time.DateOnly) + "|" + s.key)
		require.NoError(s, err)
	}
}

func (s *storm) tellsOnly() bool {
	_, tells := s.Providers[s.key].(payments.Teller)
	return tells
}

// theirs is what the double's books say of an attempt, and whether the payment was undone there.
func (s *storm) theirs(b booked) (sum sums, undone bool) {
	for _, e := range s.server.Books() {
		mine := strings.EqualFold(e.Ref, b.Provider)
		if b.Provider == "" || s.tellsOnly() {
			mine = e.Order == b.Reference || e.Order == strconv.FormatInt(b.Number, 10)
		}
		if !mine {
			continue
		}
		undone = undone || e.Status == acquirertest.Cancelled
		if e.Captured > 0 && !(s.tellsOnly() && e.Status == acquirertest.Cancelled) { // what our answer sent back was never ours
			sum.currency = e.Currency
			sum.captured, sum.refunded, sum.disputed = sum.captured+e.Captured, sum.refunded+e.Refunded, sum.disputed+e.Disputed+e.Lost
		}
	}
	return sum, undone
}

// story is what was learnt of an attempt, for whoever has to find out why it is wrong.
func (s *storm) story(b booked) string {
	text := ""
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		rows, err := tenants.Rows[struct {
			Line string `db:"line"`
		}](ctx, tx, `SELECT f.at || ' ' || f.kind || ' ' || f.status || ' ' || f.minor || ' ' || f.currency || ' ' || f.ref || ' ' || f.decision AS line
			FROM facts f WHERE f.invoice_id = $1 ORDER BY f.id`, b.Invoice)
		for _, r := range rows {
			text += r.Line + "\n"
		}
		return err
	})
	for _, e := range s.server.Books() {
		if e.Order == b.Reference || strings.EqualFold(e.Ref, b.Provider) {
			text += fmt.Sprintf("books: %+v\n", e)
		}
	}
	return text
}

// totals compares the acquirer's account with its books, orphans included.
func (s *storm) totals() {
	theirs, ours := map[string]int64{}, map[string]int64{}
	for _, e := range s.server.Books() {
		theirs[e.Currency] += e.Captured - e.Refunded - e.Disputed - e.Lost
	}
	sum := map[string]int64{}
	for account, minor := range balances(s.Shop, payments.Part{}) {
		name, currency, _ := strings.Cut(account, " ")
		sum[currency] += minor
		if name == "acquirer:"+s.key {
			ours[currency] += minor
		}
	}
	for currency, minor := range theirs {
		require.Equal(s, minor, ours[currency], "the acquirer's account in %s", currency)
	}
	for currency, minor := range sum {
		require.Zero(s, minor, "all accounts together in %s", currency)
	}
	orphans := slices.DeleteFunc(s.open(), func(e payments.Exception) bool { return e.Kind != payments.Orphan })
	require.Len(s, orphans, s.orphans, "each orphan is an exception, once")
}

// folded folds every invoice's facts in another order, with repetitions, and compares the picture with what is kept.
func (s *storm) folded() {
	for _, in := range s.invoices {
		facts := s.facts(in)
		facts = append(facts, facts[:s.dice.IntN(len(facts)+1)]...)
		s.dice.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		p, kept := state.Fold(in.Amount(), facts), s.Read(in.ID)
		require.Equal(s, [4]any{p.Status, p.Paid, p.Refunded, p.Outstanding}, [4]any{kept.Status, kept.Paid, kept.Refunded, kept.Outstanding}, in.Number)
		held := balances(s.Shop, payments.Part{Invoice: in.ID})
		require.Equal(s, p.Paid+p.Forgiven, -held["receivable "+in.Currency], in.Number)
		require.Equal(s, p.Refunded, held["customer_refunds "+in.Currency]+held["chargebacks "+in.Currency], in.Number)
	}
}

func (s *storm) facts(in payments.Invoice) (facts []state.Fact) {
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		rows, err := tenants.Rows[struct {
			Kind     string    `db:"kind"`
			At       time.Time `db:"at"`
			Attempt  string    `db:"attempt"`
			Seq      int       `db:"seq"`
			Status   string    `db:"status"`
			Minor    int64     `db:"minor"`
			Currency string    `db:"currency"`
			Alien    bool      `db:"alien"`
			Ref      string    `db:"ref"`
			Decision string    `db:"decision"`
		}](ctx, tx, `SELECT kind, at, coalesce(attempt_id::text, '') AS attempt, seq, status, minor, currency, alien, ref, decision FROM facts WHERE invoice_id = $1`, in.ID)
		for _, r := range rows {
			facts = append(facts, state.Fact{Kind: state.FactKind(r.Kind), At: r.At, Attempt: r.Attempt, Seq: r.Seq, Status: state.AttemptStatus(r.Status),
				Amount: payments.Money{Minor: r.Minor, Currency: r.Currency}, Foreign: r.Alien, Ref: r.Ref, Decision: state.Decision(r.Decision)})
		}
		return err
	})
	return facts
}

// forgeries compares the audit trail with what was refused.
func (s *storm) forgeries() {
	var logged int
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM audit WHERE action = 'notice.refused'`).Scan(&logged)
	})
	require.Equal(s, s.post.refused, logged, "every bad signature is in the audit trail")
	if s.signed && s.post.tally["forged"] > 10 {
		require.Positive(s, logged)
	}
}
