"""Simulated vendors: HTTP servers on loopback that speak the wire formats of PingOne, Okta, Ironclad Clickwrap and
SailPoint Identity Security Cloud.

They are written from the vendors' public documents alone and import nothing of the service, so that a mistake of a
connector cannot be repeated here. A world is invented (`world.World`), a vendor answers for it (`pingone`, `okta`,
`ironclad`, `sailpoint`), things go wrong on purpose (`faults`), and a server puts it on a port (`serve.VendorServer`).
"""
