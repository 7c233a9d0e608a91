package mail_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/payments/mail/mailtest"
	"github.com/stretchr/testify/require"
)

var letter = mail.Letter{ID: "one@dealpay", To: "ani@example.org", Subject: "Вճարում 15 000 ֏", Text: "Բարև Ձեզ։\n\nhttps://pay.example/p/token\n"}

var securities = []mail.Security{mail.TLS, mail.StartTLS, mail.None}

func TestALetterArrivesWhole(t *testing.T) {
	for _, security := range securities {
		s := mailtest.New(t, security)
		require.NoError(t, s.Post().Check(t.Context(), s.Mailbox()), security)
		require.Empty(t, s.Letters(), "a check sends nothing")
		require.NoError(t, s.Post().Send(t.Context(), s.Mailbox(), letter), security)
		require.Len(t, s.Letters(), 1)
		got := s.Letters()[0]
		require.Contains(t, got.From, "<"+mailtest.User+">")
		require.Contains(t, got.To, "<ani@example.org>")
		require.Contains(t, got.Data, "Message-ID: <one@dealpay>")
		require.Contains(t, got.Data, "pay.example/p/token")
		if security != mail.None {
			require.Positive(t, s.Logins(), security)
		}
	}
}

func TestAWrongPasswordIsToldWithoutTheAccount(t *testing.T) {
	for _, security := range securities[:2] {
		s := mailtest.New(t, security)
		box := s.Mailbox()
		box.Password = "guess"
		for _, err := range []error{s.Post().Check(t.Context(), box), s.Post().Send(t.Context(), box, letter)} {
			require.ErrorIs(t, err, mail.ErrLogin)
			require.NotContains(t, err.Error(), mailtest.User)
		}
		require.Empty(t, s.Letters())
	}
}

func TestAServerThatNobodyVouchesForGetsNoPassword(t *testing.T) {
	for _, security := range securities[:2] {
		s := mailtest.New(t, security)
		stranger := mail.Post{Dial: s.Dial, Roots: x509.NewCertPool()}
		require.ErrorIs(t, stranger.Send(t.Context(), s.Mailbox(), letter), mail.ErrAway)
		box := s.Mailbox()
		box.Host = "other.example.net"
		require.ErrorIs(t, s.Post().Send(t.Context(), box, letter), mail.ErrAway, "the certificate is for another name")
		require.Zero(t, s.Logins())
	}
	clear := mailtest.New(t, mail.None)
	box := clear.Mailbox()
	box.Security, box.Username, box.Password = mail.StartTLS, mailtest.User, mailtest.Password
	require.Error(t, clear.Post().Send(t.Context(), box, letter), "without STARTTLS nothing goes")
	require.Empty(t, clear.Letters())
}

func TestWhatAnEndProves(t *testing.T) {
	s := mailtest.New(t, mail.StartTLS)
	for _, one := range []struct {
		trouble mailtest.Trouble
		err     error
		taken   int
	}{{mailtest.Busy, mail.ErrAway, 0}, {mailtest.Stranger, mail.ErrRefused, 0}, {mailtest.Unwanted, mail.ErrRefused, 0},
		{mailtest.Cut, mail.ErrUnclear, 0}, {mailtest.TakenMute, mail.ErrUnclear, 1}, {mailtest.Good, nil, 2}} {
		s.Make(one.trouble)
		require.ErrorIs(t, s.Post().Send(t.Context(), s.Mailbox(), letter), one.err, one.trouble)
		require.Len(t, s.Letters(), one.taken, one.trouble)
	}
	away := mail.Post{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }}
	require.ErrorIs(t, away.Send(t.Context(), s.Mailbox(), letter), mail.ErrAway)
	bad := letter
	bad.To = "ani@example.org\r\nBcc: all@example.org"
	require.ErrorIs(t, s.Post().Send(t.Context(), s.Mailbox(), bad), mail.ErrRefused)
	bad = letter
	bad.Subject = "Hello\r\nBcc: all@example.org"
	require.NoError(t, s.Post().Send(t.Context(), s.Mailbox(), bad))
	head, _, _ := strings.Cut(s.Letters()[2].Data, "\n\n")
	require.NotContains(t, head, "\nBcc:", "a subject adds no header")
}
