package redisbinding

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// validate checks what one field's form cannot show: fields against each
// other, addresses and certificates.
func (p *parser) validate() {
	p.validateWords()
	p.validateFailover()
	p.validateHost()
	p.validateCredentials()
	p.validateIntervals()
	p.validateTLS()
	p.validateEntraID()
}

func (p *parser) validateHost() {
	if !p.has("redisHost") {
		p.fail("redisHost", `is required: set it to host or host:port, such as "localhost:6379"`)
	}
	if p.isBad("redisHost", "redisPort") {
		return
	}
	// A URL may carry a password, so what looks like one is not shown.
	if strings.Contains(p.m.RedisHost, "://") || strings.Contains(p.m.RedisHost, "@") {
		p.fail("redisHost", "takes host or host:port, not a URL: "+
			"put user and password into redisUsername and redisPassword, and set enableTLS for rediss")
		return
	}
	for host := range strings.SplitSeq(p.m.RedisHost, ",") {
		addr, reason := p.address(strings.TrimSpace(host))
		if reason != "" {
			p.fail("redisHost", reason)
			return
		}
		if !slices.Contains(p.m.addrs, addr) {
			p.m.addrs = append(p.m.addrs, addr)
		}
	}
	if len(p.m.addrs) > 1 && p.m.RedisType == TypeNode && !p.m.Failover && !p.isBad("redisType", "failover") {
		p.fail("redisHost", "takes one address when redisType is node and failover is false: "+
			"set redisType to cluster, or failover to true when these are sentinels")
	}
}

// address completes one host or host:port of redisHost.
func (p *parser) address(text string) (addr, reason string) {
	const form = `takes host or host:port, such as "localhost:6379" or "[::1]:6379"`
	host, port := text, ""
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() {
		// A bare IPv6 address: its colons separate no port.
	} else if bracketed := strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"); bracketed {
		host = text[1 : len(text)-1]
	} else if strings.Contains(text, ":") {
		if host, port, err = net.SplitHostPort(text); err != nil || port == "" {
			return "", form + ", got " + wording.Quoted(text)
		}
	}
	if host == "" || strings.ContainsAny(host, "/\\?#[] \t\r\n") {
		return "", form + ", got " + wording.Quoted(text)
	}
	if port == "" {
		return net.JoinHostPort(host, strconv.Itoa(p.m.RedisPort)), ""
	}
	n, err := portNumber.number(port)
	if err != nil {
		return "", "takes " + portNumber.takes + " behind the host, got " + wording.Quoted(text)
	}
	if p.has("redisPort") && p.m.RedisPort != n {
		return "", "says port " + port + " and redisPort says " + strconv.Itoa(p.m.RedisPort) + ": set one of them"
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), ""
}

func (p *parser) validateWords() {
	p.oneOf("redisType", &p.m.RedisType, TypeNode, TypeCluster)
	p.oneOf("pipelining", &p.m.Pipelining, PipeliningAuto, PipeliningOff)
}

func (p *parser) validateFailover() {
	if p.isBad("failover") {
		return
	}
	if p.m.Failover && !p.has("sentinelMasterName") {
		p.fail("sentinelMasterName", "is required when failover is true")
	}
	if !p.m.Failover {
		p.needs("failover to be true", "sentinelMasterName", "sentinelUsername", "sentinelPassword")
	}
}

// oneOf checks a field that takes one of two words, in any case.
func (p *parser) oneOf(field string, value *string, one, other string) {
	switch word := strings.ToLower(strings.TrimSpace(*value)); word {
	case one, other:
		*value = word
	default:
		p.fail(field, "takes "+one+" or "+other+", got "+wording.Quoted(*value))
	}
}

// needs reports those of the fields that are given, and therefore need what is said.
func (p *parser) needs(what string, fields ...string) {
	for _, field := range fields {
		if p.has(field) {
			p.fail(field, "needs "+what)
		}
	}
}

func (p *parser) validateCredentials() {
	if !p.has("redisPassword") && !p.m.UseEntraID {
		p.needs("redisPassword: without one the user is not sent", "redisUsername")
	}
	if !p.has("sentinelPassword") {
		p.needs("sentinelPassword: without one the user is not sent", "sentinelUsername")
	}
}

func (p *parser) validateIntervals() {
	m := p.m
	if m.RedisMinRetryInterval > m.RedisMaxRetryInterval && !p.isBad("redisMaxRetryInterval") {
		p.fail("redisMinRetryInterval", "is longer than redisMaxRetryInterval")
	}
	if m.MinIdleConns > m.PoolSize && !p.isBad("poolSize") {
		p.fail("minIdleConns", "takes no more than poolSize, which is "+strconv.Itoa(m.PoolSize)+
			", got "+strconv.Itoa(m.MinIdleConns))
	}
}

func (p *parser) validateTLS() {
	m := p.m
	if p.isBad("enableTLS") {
		return
	}
	if !m.EnableTLS {
		if m.InsecureSkipTLSVerify {
			p.needs("enableTLS to be true", "insecureSkipTLSVerify")
		}
		p.needs("enableTLS to be true", "caCert", "serverName", "clientCert", "clientKey")
		return
	}
	m.tls = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         m.ServerName,
		InsecureSkipVerify: m.InsecureSkipTLSVerify, //nolint:gosec // what the field is for
	}
	if p.has("caCert") {
		m.tls.RootCAs = x509.NewCertPool()
		if !m.tls.RootCAs.AppendCertsFromPEM(pemBytes(m.CACert)) {
			p.fail("caCert", "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
		}
	}
	switch {
	case p.has("clientCert") != p.has("clientKey"):
		p.needs("clientKey", "clientCert")
		p.needs("clientCert", "clientKey")
	case p.has("clientCert"):
		pair, err := tls.X509KeyPair(pemBytes(string(m.ClientCert)), pemBytes(string(m.ClientKey)))
		if err != nil { // the text says what is wrong, without the PEM
			p.fail("clientCert", "and clientKey are no pair in PEM: "+err.Error())
			return
		}
		m.tls.Certificates = []tls.Certificate{pair}
	}
}

// pemBytes is PEM text whose line breaks may have been written as \n or \r\n, as
// happens to it in JSON and in environment variables.
func pemBytes(text string) []byte {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "\n") {
		text = strings.NewReplacer(`\r\n`, "\n", `\n`, "\n").Replace(text)
	}
	return []byte(text)
}

func (p *parser) validateEntraID() {
	m := p.m
	if _, known := clouds[m.AzureEnvironment]; !known {
		p.fail("azureEnvironment", "takes AzurePublicCloud, AzureChinaCloud or AzureUSGovernmentCloud, got "+
			wording.Quoted(m.AzureEnvironment))
	}
	if p.isBad("useEntraID") {
		return
	}
	if !m.UseEntraID {
		p.needs("useEntraID to be true", "azureClientSecret", "azureCertificate", "azureCertificateFile", "azureCertificatePassword")
		return
	}
	if !m.EnableTLS {
		p.fail("enableTLS", "must be true when useEntraID is")
	}
	for _, field := range []string{"redisUsername", "redisPassword"} {
		if p.has(field) {
			p.fail(field, "must be empty when useEntraID is true: Entra ID brings user and password")
		}
	}
	for host := range strings.SplitSeq(m.RedisHost, ",") {
		if _, _, err := net.SplitHostPort(strings.TrimSpace(host)); err != nil {
			p.fail("redisHost", "takes host:port when useEntraID is true")
		}
	}
	p.validateApplication()
}

// validateApplication checks how an application proves to Entra ID who it is.
func (p *parser) validateApplication() {
	proof := "" // the field that is used
	for _, field := range []string{"azureClientSecret", "azureCertificate", "azureCertificateFile"} {
		switch {
		case !p.has(field):
		case proof == "":
			proof = field
		default:
			p.fail(field, "cannot be used together with "+proof+": set one of them")
		}
	}
	if proof == "" {
		p.needs("azureCertificate or azureCertificateFile", "azureCertificatePassword")
		return
	}
	if proof == "azureClientSecret" {
		p.needs("azureCertificate or azureCertificateFile, not azureClientSecret", "azureCertificatePassword")
	}
	for _, field := range []string{"azureTenantID", "azureClientID"} {
		if !p.has(field) {
			p.fail(field, "is required with "+proof)
		}
	}
	if proof == "azureCertificate" { // a file may come later, and change
		if _, _, err := p.m.certificate(); err != nil {
			p.fail(proof, err.Error())
		}
	}
}
