// Package mail gives letters to a tenant's own mail server (SMTP, RFC 5321). It keeps nothing.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Security is how a connection to a mail server is protected.
type Security string

// The securities. Without one no password is sent.
const (
	TLS      Security = "tls"      // from the first byte, usually port 465
	StartTLS Security = "starttls" // required, usually port 587
	None     Security = "none"
)

// Mailbox is a tenant's account at a mail server.
type Mailbox struct {
	Host     string
	Port     int
	Security Security
	Username string // empty: the server asks for no name
	Password string
	Sender   string // address
	Name     string // of the sender, for people
}

// Letter is a plain text message. ID makes a repetition recognisable.
type Letter struct {
	ID, To, Subject, Text string
}

// Errors of sending, wrapped with what the server said.
var (
	ErrAway    = errors.New("mail: the server cannot be reached or asks to come again")
	ErrLogin   = errors.New("mail: the server does not accept the account")
	ErrRefused = errors.New("mail: the server refuses the letter")
	ErrUnclear = errors.New("mail: it is not known whether the letter went")
)

// Post sends letters. Dial decides which servers may be reached.
type Post struct {
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Roots *x509.CertPool // who vouches for servers; nil: whom the system trusts
}

// timeout bounds one exchange with a server.
const timeout = 20 * time.Second

// Check connects and signs in, and sends nothing. Errors: ErrAway, ErrLogin.
func (p Post) Check(ctx context.Context, m Mailbox) error {
	c, err := p.open(ctx, m)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// Send gives one letter to the server. Errors: ErrAway and ErrLogin (it certainly did not go), ErrRefused, ErrUnclear.
func (p Post) Send(ctx context.Context, m Mailbox, l Letter) error {
	msg := gomail.NewMsg()
	msg.SetMessageIDWithValue(l.ID)
	msg.Subject(l.Subject)
	msg.SetBodyString(gomail.TypeTextPlain, l.Text)
	if err := errors.Join(msg.FromFormat(m.Name, m.Sender), msg.To(l.To)); err != nil {
		return fmt.Errorf("%w: an address cannot be used", ErrRefused)
	}
	c, err := p.open(ctx, m)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	err = c.Send(msg)
	var failed *gomail.SendError
	if err == nil || (errors.As(err, &failed) && failed.Reason == gomail.ErrSMTPReset) { // the letter was taken before that
		return nil
	}
	return verdict(err)
}

// verdict says what a failed exchange proves: a server that answered with a code did not take the letter; silence after
// the letter's end proves nothing.
func verdict(err error) error {
	var failed *gomail.SendError
	switch {
	case !errors.As(err, &failed):
		return fmt.Errorf("%w: %w", ErrUnclear, err)
	case failed.ErrorCode() >= 500:
		return fmt.Errorf("%w: code %d", ErrRefused, failed.ErrorCode())
	case failed.ErrorCode() >= 400:
		return fmt.Errorf("%w: code %d", ErrAway, failed.ErrorCode())
	case failed.Reason == gomail.ErrSMTPDataClose, failed.Reason == gomail.ErrWriteContent, failed.Reason == gomail.ErrAmbiguous:
		return fmt.Errorf("%w: %w", ErrUnclear, err)
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

func (p Post) open(ctx context.Context, m Mailbox) (*gomail.Client, error) {
	auth := gomail.SMTPAuthAutoDiscover
	switch {
	case m.Username == "" || m.Security == None:
		auth = gomail.SMTPAuthNoAuth
	case m.Security == TLS:
		auth = gomail.SMTPAuthPlain
	}
	c, err := p.sign(ctx, m, auth)
	if errors.Is(err, gomail.ErrPlainAuthNotSupported) {
		c, err = p.sign(ctx, m, gomail.SMTPAuthLogin)
	}
	switch {
	case err == nil:
		return c, nil
	case strings.Contains(err.Error(), "535"), strings.Contains(err.Error(), "534"), strings.Contains(err.Error(), "AUTH"):
		return nil, ErrLogin // what the server wrote may name the account
	}
	return nil, fmt.Errorf("%w: %w", ErrAway, err)
}

func (p Post) sign(ctx context.Context, m Mailbox, auth gomail.SMTPAuthType) (*gomail.Client, error) {
	policy := gomail.NoTLS
	if m.Security == StartTLS {
		policy = gomail.TLSMandatory
	}
	var open net.Conn
	trust := &tls.Config{ServerName: m.Host, RootCAs: p.Roots, MinVersion: tls.VersionTLS12}
	options := []gomail.Option{gomail.WithTLSConfig(trust), gomail.WithPort(m.Port), gomail.WithTimeout(timeout), gomail.WithTLSPolicy(policy), gomail.WithSMTPAuth(auth),
		gomail.WithUsername(m.Username), gomail.WithPassword(m.Password), gomail.WithHELO("dealpay"),
		gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := p.Dial(ctx, network, address)
			open = conn
			if err != nil || m.Security != TLS {
				return conn, err
			}
			secure := tls.Client(conn, trust)
			if err := secure.HandshakeContext(ctx); err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			return secure, nil
		})}
	c, err := gomail.NewClient(m.Host, options...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = c.DialWithContext(ctx)
	if err != nil && open != nil {
		_ = open.Close() // the client leaves it open when signing in fails
	}
	return c, err
}
