// Package mailtest is a mail server for tests: it speaks SMTP over TCP, with TLS from the first byte, STARTTLS or none,
// asks for a name and a password, keeps the letters it took, and misbehaves on request.
package mailtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/dealpay/dealpay/payments/mail"
)

// What the server's account is called, and the name that its certificate is for.
const (
	Host     = "example.com"
	User     = "shop@example.com"
	Password = "letters, please"
)

// Trouble is how the server misbehaves.
type Trouble string

// The troubles. All but the last leave the letter untaken.
const (
	Good      Trouble = ""
	Busy      Trouble = "busy"      // 451 to the recipient: come again
	Stranger  Trouble = "stranger"  // 550 to the recipient
	Unwanted  Trouble = "unwanted"  // 554 after the letter
	Cut       Trouble = "cut"       // hangs up in the middle of the letter
	TakenMute Trouble = "takenmute" // takes the letter and hangs up without a word
)

// Letter is what the server took.
type Letter struct{ From, To, Data string }

// Server is a running mail server.
type Server struct {
	Security mail.Security
	Roots    *x509.CertPool // who vouches for it

	listener net.Listener
	secure   *tls.Config
	mu       sync.Mutex
	trouble  Trouble
	letters  []Letter
	logins   int
}

// New starts a server that ends with the test.
func New(t testing.TB, security mail.Security) *Server {
	t.Helper()
	vouched := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	t.Cleanup(vouched.Close)
	s := &Server{Security: security, Roots: x509.NewCertPool(), secure: &tls.Config{Certificates: vouched.TLS.Certificates, MinVersion: tls.VersionTLS12}}
	s.Roots.AddCert(vouched.Certificate())
	var err error
	if s.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = s.listener.Close(); open.Wait() })
	return s
}

// Dial reaches the server whatever address is asked for.
func (s *Server) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, s.listener.Addr().String())
}

// Port is where it listens, on loopback.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port } //nolint:forcetypeassert // it listens on TCP

// Mailbox is an account that the server lets in.
func (s *Server) Mailbox() mail.Mailbox {
	m := mail.Mailbox{Host: Host, Port: 587, Security: s.Security, Username: User, Password: Password, Sender: User, Name: "Shop"}
	if s.Security == mail.None {
		m.Username, m.Password = "", ""
	}
	return m
}

// Post is a post office that knows the server.
func (s *Server) Post() mail.Post { return mail.Post{Dial: s.Dial, Roots: s.Roots} }

// Make changes how the server behaves from now on.
func (s *Server) Make(trouble Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
}

// Letters are those it took, in order.
func (s *Server) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter{}, s.letters...)
}

// Logins is how often somebody was let in by name.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// talk is one connection.
type talk struct {
	*textproto.Conn
	raw    net.Conn
	safe   bool // encrypted
	known  bool // signed in
	letter Letter
}

func (s *Server) serve(conn net.Conn) {
	c := &talk{raw: conn}
	if s.Security == mail.TLS {
		c.raw, c.safe = tls.Server(conn, s.secure), true
	}
	c.Conn = textproto.NewConn(c.raw)
	defer func() { _ = c.Close() }()
	say(c, "220 ready")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		if !s.answer(c, line) {
			return
		}
	}
}

func say(c *talk, line string) { _ = c.PrintfLine("%s", line) }

// answer answers one command; false ends the connection.
func (s *Server) answer(c *talk, line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	s.mu.Lock()
	trouble := s.trouble
	s.mu.Unlock()
	switch strings.ToUpper(verb) {
	case "EHLO":
		say(c, "250-"+Host)
		if c.safe {
			say(c, "250-AUTH PLAIN LOGIN")
		} else if s.Security == mail.StartTLS {
			say(c, "250-STARTTLS")
		}
		say(c, "250 8BITMIME")
	case "STARTTLS":
		say(c, "220 go on")
		c.raw = tls.Server(c.raw, s.secure)
		c.Conn, c.safe = textproto.NewConn(c.raw), true
	case "AUTH":
		s.auth(c, rest)
	case "MAIL":
		if s.Security != mail.None && !c.known {
			say(c, "530 sign in first")
			return true
		}
		c.letter = Letter{From: rest}
		say(c, "250 ok")
	case "RCPT":
		c.letter.To = rest
		switch trouble {
		case Busy:
			say(c, "451 come again")
		case Stranger:
			say(c, "550 nobody here")
		default:
			say(c, "250 ok")
		}
	case "DATA":
		return s.data(c, trouble)
	case "QUIT":
		say(c, "221 bye")
		return false
	default: // RSET, NOOP
		say(c, "250 ok")
	}
	return true
}

func (s *Server) auth(c *talk, rest string) {
	kind, first, _ := strings.Cut(rest, " ")
	given := []string{"", ""}
	ask := func(prompt string) string {
		say(c, "334 "+base64.StdEncoding.EncodeToString([]byte(prompt)))
		line, _ := c.ReadLine()
		text, _ := base64.StdEncoding.DecodeString(line)
		return string(text)
	}
	switch {
	case !c.safe:
		say(c, "538 not in the clear")
		return
	case kind == "PLAIN":
		text, _ := base64.StdEncoding.DecodeString(first)
		if parts := strings.Split(string(text), "\x00"); len(parts) == 3 {
			given = parts[1:]
		}
	default:
		given = []string{ask("Username:"), ask("Password:")}
	}
	if given[0] != User || given[1] != Password {
		say(c, "535 not you, "+given[0])
		return
	}
	s.mu.Lock()
	s.logins++
	s.mu.Unlock()
	c.known = true
	say(c, "235 come in")
}

func (s *Server) data(c *talk, trouble Trouble) bool {
	say(c, "354 go on")
	if trouble == Cut {
		_, _ = c.ReadLine()
		return false
	}
	text, err := c.ReadDotBytes()
	if err != nil {
		return false
	}
	if trouble == Unwanted {
		say(c, "554 we do not want this")
		return true
	}
	c.letter.Data = string(text)
	s.mu.Lock()
	s.letters = append(s.letters, c.letter)
	s.mu.Unlock()
	if trouble == TakenMute {
		return false
	}
	say(c, "250 taken")
	return true
}
