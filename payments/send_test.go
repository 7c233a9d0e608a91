package payments_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/payments/mail/mailtest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// posting is a shop with a mail server.
func posting(t *testing.T) (*shop, *mailtest.Server) {
	s, office := newShop(t), mailtest.New(t, mail.None)
	s.Post, s.PostLocal = mail.Post{Dial: egress.Dial(true)}, true
	require.NoError(t, s.ConnectMailbox(t.Context(), s.ID, s.By, payments.Mailbox{Host: "mail.localhost", Port: office.Port(), Security: mail.None,
		Sender: "shop@example.com", Name: "Oak & Stone"}))
	return s, office
}

func (s *shop) sends(in payments.Invoice) (all []payments.Sent) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		all, err = payments.Sends(ctx, tx, in.ID)
		return err
	})
	return all
}

// promised are the open promises to send letters.
func (s *shop) promised() (ids []uuid.UUID) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		rows, err := tenants.Rows[struct {
			Key uuid.UUID `db:"key"`
		}](ctx, tx, `SELECT key::uuid FROM outbox WHERE kind = 'email' AND done_at IS NULL ORDER BY id`)
		for _, r := range rows {
			ids = append(ids, r.Key)
		}
		return err
	})
	return ids
}

func TestALinkIsSentByTheTenantsOwnMailServer(t *testing.T) {
	s, office := posting(t)
	in := s.Invoice("1", 15_000_000)
	_, err := s.Send(t.Context(), s.ID, s.By, in.ID, payments.Sending{Channel: "email", To: "not an address"})
	require.ErrorIs(t, err, payments.ErrInvalid)
	_, err = s.Send(t.Context(), s.ID, s.By, in.ID, payments.Sending{Channel: "email"})
	require.ErrorContains(t, err, "which e-mail address")
	sent, err := s.Send(t.Context(), s.ID, s.By, in.ID, payments.Sending{Channel: "email", To: "customer@example.com", Language: "ru"})
	require.NoError(t, err)
	require.NotNil(t, sent.LockedAt)
	require.Equal(t, "waiting", s.sends(in)[0].State)
	ids := s.promised()
	require.Len(t, ids, 1)
	for range 2 {
		_, err = s.Deliver(t.Context(), s.ID, ids[0])
		require.NoError(t, err)
	}
	require.Equal(t, "sent", s.sends(in)[0].State)
	letters := office.Letters()
	require.Len(t, letters, 1, "one letter, however often it is asked for")
	var link string
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		link, err = s.URL(ctx, tx, in.ID)
		return err
	})
	text := plain(t, letters[0].Data)
	require.Contains(t, text, link)
	require.Contains(t, text, "150\u00a0000\u00a0AMD")
	require.Contains(t, text, "Здравствуйте")
	require.Contains(t, letters[0].Data, ids[0].String()+"@dealpay", "a repetition could be recognised")
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		trail, err := tx.Trail(ctx, nil, 0, 100)
		for _, e := range trail {
			require.NotContains(t, string(e.Evidence), "customer@example.com")
		}
		return err
	})
}

// plain is the text of a letter.
func plain(t *testing.T, letter string) string {
	head, body, _ := strings.Cut(letter, "\n\n")
	if strings.Contains(head, "base64") {
		raw, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "").Replace(body))
		require.NoError(t, err)
		return string(raw)
	}
	raw := new(strings.Builder)
	_, err := bufio.NewReader(quotedprintable.NewReader(strings.NewReader(body))).WriteTo(raw)
	require.NoError(t, err)
	return raw.String()
}

func TestALetterThatFailsIsSaid(t *testing.T) {
	s, office := posting(t)
	send := func(deal string) (payments.Invoice, uuid.UUID) {
		in := s.Invoice(deal, 100)
		_, err := s.Send(t.Context(), s.ID, s.By, in.ID, payments.Sending{Channel: "email", To: "customer@example.com"})
		require.NoError(t, err)
		ids := s.promised()
		return in, ids[len(ids)-1]
	}
	deliver := func(in payments.Invoice, id uuid.UUID) (string, error) {
		_, err := s.Deliver(t.Context(), s.ID, id)
		return s.sends(in)[0].State, err
	}
	office.Make(mailtest.Busy)
	in, id := send("1")
	state, err := deliver(in, id)
	require.ErrorIs(t, err, payments.ErrUnavailable)
	require.Equal(t, "waiting", state, "it is tried again")
	office.Make(mailtest.Stranger)
	state, err = deliver(in, id)
	require.NoError(t, err)
	require.Equal(t, "failed", state)
	office.Make(mailtest.Cut)
	in, id = send("2")
	state, err = deliver(in, id)
	require.NoError(t, err)
	require.Equal(t, "unclear", state, "silence after the letter proves nothing")
	office.Make(mailtest.Good)
	state, err = deliver(in, id)
	require.NoError(t, err)
	require.Equal(t, "unclear", state)
	require.Empty(t, office.Letters(), "and nothing is sent twice")
	in, id = send("3")
	_, err = s.Cancel(t.Context(), s.ID, s.By, in.ID)
	require.NoError(t, err)
	state, err = deliver(in, id)
	require.NoError(t, err)
	require.Equal(t, "failed", state, "a withdrawn link is not sent")
}

func TestAMailServerIsTriedBeforeItIsKept(t *testing.T) {
	s, office := posting(t)
	good := payments.Mailbox{Host: "mail.localhost", Port: office.Port(), Security: mail.None, Sender: "shop@example.com"}
	for name, change := range map[string]func(*payments.Mailbox){
		"nobody there":             func(m *payments.Mailbox) { m.Port = 1 },
		"no TLS there":             func(m *payments.Mailbox) { m.Security = mail.StartTLS },
		"a password in the clear":  func(m *payments.Mailbox) { m.Username, m.Password = "u", "p" },
		"no address":               func(m *payments.Mailbox) { m.Sender = "shop" },
		"our own network":          func(m *payments.Mailbox) { m.Host = "127.0.0.1" },
		"a port of something else": func(m *payments.Mailbox) { m.Host, m.Port = "example.com", 6379 },
	} {
		m := good
		change(&m)
		require.ErrorIs(t, s.ConnectMailbox(t.Context(), s.ID, s.By, m), payments.ErrInvalid, name)
	}
	require.NoError(t, s.RemoveMailbox(t.Context(), s.ID, s.By))
	require.ErrorIs(t, s.RemoveMailbox(t.Context(), s.ID, s.By), payments.ErrNotFound)
	in := s.Invoice("1", 100)
	_, err := s.Send(t.Context(), s.ID, s.By, in.ID, payments.Sending{Channel: "email", To: "customer@example.com"})
	require.NoError(t, err)
	require.Equal(t, "logged", s.sends(in)[0].State, "without a mail server the manager sends it")
	require.Empty(t, s.promised())
}

func TestATenantsOwnWordsCarryTheLink(t *testing.T) {
	s := newShop(t)
	own := map[string]tenants.Template{"en": {Subject: "Pay {merchant}", Text: "{amount} {link}"}}
	require.NoError(t, payments.CheckTemplates(own))
	require.ErrorIs(t, payments.CheckTemplates(map[string]tenants.Template{"en": {Subject: "x", Text: "no link"}}), payments.ErrInvalid)
	require.ErrorIs(t, payments.CheckTemplates(map[string]tenants.Template{"xx": {Subject: "x", Text: "{link}"}}), payments.ErrInvalid)
	s.settings(func(p *tenants.PaymentSettings) { p.Templates = own })
	in := s.Invoice("1", 1_050)
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		m, err := s.Message(ctx, tx, in, "en")
		require.Equal(t, "Pay acme", m.Subject)
		require.True(t, strings.HasPrefix(m.Text, "10.50\u00a0AMD https://pay.example/p/"), m.Text)
		for _, lang := range payments.Languages {
			m, err := s.Message(ctx, tx, in, lang)
			require.NoError(t, err)
			require.NotContains(t, m.Subject+m.Text, "{")
		}
		return err
	})
}

// TestNobodyIsAskedForMoneyThatIsNotOwed brings an invoice into every status and asks for its message in every language.
func TestNobodyIsAskedForMoneyThatIsNotOwed(t *testing.T) {
	s := newShop(t)
	opened := func(o payments.Observation) (payments.Invoice, payments.Attempt) {
		in := s.Invoice("1", 100_000)
		a := s.Try(in)
		if o.Status != "" {
			s.Learn(a, o)
		}
		return in, a
	}
	told := func(o payments.Observation) payments.Invoice {
		in, a := opened(tilltest.Took(tilltest.AMD(100_000)))
		s.Learn(a, o)
		return in
	}
	disputed := tilltest.Took(tilltest.AMD(100_000))
	disputed.Disputes = []payments.Dispute{{Ref: "d", Amount: tilltest.AMD(100_000), Status: state.DisputeOpened}}
	only := func(in payments.Invoice, _ payments.Attempt) payments.Invoice { return in }
	states := map[state.Status]payments.Invoice{
		state.AwaitingPayment:   s.Invoice("1", 100_000),
		state.PaymentFailed:     only(opened(payments.Observation{Status: state.AttemptFailed})),
		state.Paid:              only(opened(tilltest.Took(tilltest.AMD(100_000)))),
		state.ManualReview:      only(opened(tilltest.Took(tilltest.AMD(70_000)))),
		state.PartiallyRefunded: told(tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(10_000))),
		state.Refunded:          told(tilltest.Back(tilltest.AMD(100_000), tilltest.AMD(100_000))),
		state.Disputed:          told(disputed),
		state.Cancelled:         s.Invoice("1", 100_000),
		state.Expired:           s.Invoice("1", 100_000),
	}
	_, err := s.Cancel(t.Context(), s.ID, s.By, states[state.Cancelled].ID)
	require.NoError(t, err)
	part := s.Invoice("1", 100_000)
	_, _, err = s.Receive(t.Context(), s.ID, s.By, part.ID, payments.Received{Method: "cash", Amount: tilltest.AMD(40_000), ReceivedAt: s.Clock, Reference: "R-1", Reason: "at the desk"})
	require.NoError(t, err)
	s.Clock = s.Clock.Add(73 * time.Hour)
	_, err = s.Expire(t.Context(), s.ID, states[state.Expired].ID)
	require.NoError(t, err)

	require.Len(t, states, len(state.Statuses))
	message := func(in payments.Invoice, lang string) (m tenants.Template, err error) {
		s.In(func(ctx context.Context, tx *tenants.Tx) error {
			m, err = s.Message(ctx, tx, s.Read(in.ID), lang)
			return nil
		})
		return m, err
	}
	refusals := map[state.Status]error{state.AwaitingPayment: nil, state.PaymentFailed: nil, state.Expired: payments.ErrExpired}
	for status, in := range states {
		require.Equal(t, status, s.Read(in.ID).Status)
		want, known := refusals[status]
		if !known {
			want = payments.ErrNotPayable
		}
		_, err := s.Send(t.Context(), s.ID, s.By, in.ID, payments.Sending{Channel: "copy"})
		require.ErrorIs(t, err, want, status)
		for _, lang := range payments.Languages {
			m, err := message(in, lang)
			require.ErrorIs(t, err, want, status)
			if want == nil {
				require.Regexp(t, `\D1[\x{a0},]000\x{a0}AMD`, m.Text, lang)
			}
		}
	}
	for _, lang := range payments.Languages {
		m, err := message(part, lang)
		require.NoError(t, err)
		require.Contains(t, m.Text, "600\u00a0AMD", "what is still owed")
	}
}

func TestWhatIsPaidWithoutAReceiptIsListed(t *testing.T) {
	s := newShop(t)
	missing := func() (list []string) {
		s.In(func(ctx context.Context, tx *tenants.Tx) error {
			all, err := payments.WithoutReceipt(ctx, tx, uuid.Nil, 10)
			for _, u := range all {
				list = append(list, u.DealID)
			}
			return err
		})
		return list
	}
	card, _ := s.Sold("1", 100_000)
	cash := s.Invoice("2", 50_000)
	payment, _, err := s.Receive(t.Context(), s.ID, s.By, cash.ID, payments.Received{Method: "cash", Amount: cash.Amount(), ReceivedAt: s.Clock, Reference: "KO", Reason: "Paid here"})
	require.NoError(t, err)
	s.Invoice("3", 100)
	require.ElementsMatch(t, []string{"1", "2"}, missing())
	note := func(in payments.Invoice, number, kind, state, reason string) error {
		_, err := s.NoteReceipt(t.Context(), s.ID, s.By, in.ID, payments.NewReceipt{Number: number, Kind: kind, State: state, Reason: reason})
		return err
	}
	require.NoError(t, note(card, "F-1", "advance", "issued", ""))
	require.Equal(t, []string{"2"}, missing())
	require.ErrorIs(t, note(card, "F-1", "advance", "void", ""), payments.ErrInvalid, "why")
	require.NoError(t, note(card, "F-1", "advance", "void", "Wrong sum"))
	require.ElementsMatch(t, []string{"1", "2"}, missing(), "a receipt that was withdrawn is none")
	require.NoError(t, note(card, "F-2", "final", "pending", ""))
	require.NoError(t, note(card, "F-3", "refund", "issued", ""))
	require.Equal(t, []string{"2"}, missing())
	_, err = s.Reverse(t.Context(), s.ID, s.By, payment, "A mistake")
	require.NoError(t, err)
	require.Empty(t, missing(), "what was undone needs none")
	require.ErrorIs(t, note(cash, "F-9", "final", "issued", ""), payments.ErrInvalid, "nothing was paid")
	for _, bad := range [][3]string{{"", "final", "issued"}, {"F", "other", "issued"}, {"F", "final", "lost"}} {
		require.ErrorIs(t, note(card, bad[0], bad[1], bad[2], ""), payments.ErrInvalid)
	}
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Receipts(ctx, tx, card.ID)
		require.Len(t, all, 3)
		require.Equal(t, [3]string{"F-1", "void", "Wrong sum"}, [3]string{all[0].Number, all[0].State, all[0].Reason})
		return err
	})
	_, err = s.NoteReceipt(t.Context(), s.ID, payments.By{Actor: "user:5", Role: tenants.Manager}, card.ID, payments.NewReceipt{Number: "F", Kind: "final", State: "issued"})
	require.ErrorIs(t, err, payments.ErrRole)
}
