package admin

import "postrider/storage"

// AddDomain implements storage.Directory.
func (c *Client) AddDomain(domain string) error { return c.ask("add-domain", domain, new(none)) }

// RemoveDomain implements storage.Directory.
func (c *Client) RemoveDomain(domain string) error { return c.ask("remove-domain", domain, new(none)) }

// Domains implements storage.Directory; none as well when the server is gone.
func (c *Client) Domains() (domains []string) {
	_ = c.ask("domains", none{}, &domains)
	return domains
}

// DomainAlias implements storage.Directory; "" as well when the server is gone.
func (c *Client) DomainAlias(domain string) (of string) {
	_ = c.ask("domain-alias", domain, &of)
	return of
}

// AddDomainAlias implements storage.Directory.
func (c *Client) AddDomainAlias(domain, of string) error {
	return c.ask("add-domain-alias", domainAliasArg{domain, of}, new(none))
}

// SetDomainQuota implements storage.Directory.
func (c *Client) SetDomainQuota(domain string, q storage.Quota) error {
	return c.ask("set-domain-quota", domainQuotaArg{domain, q}, new(none))
}

// DomainSettings implements storage.Directory; none as well when the server is gone.
func (c *Client) DomainSettings() (all []storage.Domain) {
	_ = c.ask("domain-settings", none{}, &all)
	return all
}
