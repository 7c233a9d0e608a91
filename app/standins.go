package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/dealpay/dealpay/app/demo"
)

type standinsCommand struct {
	Listen string `default:"127.0.0.1:8090" help:"Address to listen on."`
	AppURL string `default:"http://localhost:8080" help:"Where the app is."`
	Suffix string `help:"What stands after every host name they hand out, such as .localhost:8090; empty means the real names."`
	TLS    bool   `name:"tls" help:"Speak TLS with certificates of an own CA for any name."`
	CAOut  string `name:"ca-out" help:"Where to write that CA's certificate."`
	Deals  int    `hidden:"" default:"20" help:"How many deals every CRM account has."`
}

// Run serves the stand-ins until it is stopped.
func (s standinsCommand) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	scheme := "http"
	if s.TLS {
		scheme = "https"
		ca, err := newAuthority()
		if err != nil {
			return err
		}
		if s.CAOut != "" {
			if err := os.WriteFile(s.CAOut, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), 0o644); err != nil { //nolint:gosec // a certificate is public
				return err
			}
		}
		listener = tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: ca.certificate})
	}
	handler := demo.NewStandins(s.AppURL, s.Suffix, archiveVersion(), demo.LoopbackClient(10*time.Second), demo.Deals(s.Deals))
	defer handler.Close()
	base := scheme + "://" + listener.Addr().String()
	line, err := json.Marshal(map[string]any{"url": base, "control": demo.Controls(base), "credentials": handler.Credentials()})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// authority makes a certificate for any name that a client asks for.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	mu   sync.Mutex
	made map[string]*tls.Certificate
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Dealpay stand-ins"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	return &authority{cert: cert, key: key, made: map[string]*tls.Certificate{}}, err
}

func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" {
		name = "127.0.0.1"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if made := a.made[name]; made != nil {
		return made, nil
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	a.made[name] = &tls.Certificate{Certificate: [][]byte{raw, a.cert.Raw}, PrivateKey: a.key}
	return a.made[name], nil
}
