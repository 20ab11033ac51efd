"""Well-known SaaS applications: what a new catalogue begins with. Public facts: names, makers and domains, and the keys
that Okta's integration network gives them.
"""

from __future__ import annotations

# Key, name, vendor, category, domains, definition keys.
Entry = tuple[str, str, str, str, list[str], list[str]]


def _read(line: str) -> Entry:
    key, name, vendor, category, domains, definitions = line.split("|")
    return key, name, vendor, category, domains.split(), definitions.split()


_LINES = """
15five|15Five|15Five|HR|15five.com|15five
1password|1Password|AgileBits|Security|1password.com 1password.eu|
adobe-acrobat-sign|Adobe Acrobat Sign|Adobe|Contracts|echosign.com adobesign.com|echosign
adobe-creative-cloud|Adobe Creative Cloud|Adobe|Design|adobe.com|adobe_creative_cloud
adp|ADP Workforce Now|ADP|HR|adp.com|
aircall|Aircall|Aircall|Communications|aircall.io|aircall
airtable|Airtable|Airtable|Productivity|airtable.com|airtable
akamai|Akamai|Akamai|Network|akamai.com|akamai
amazon-quicksight|Amazon QuickSight|Amazon|Analytics|quicksight.aws.amazon.com|
amplitude|Amplitude|Amplitude|Analytics|amplitude.com|amplitude
anaplan|Anaplan|Anaplan|Finance|anaplan.com|anaplan
asana|Asana|Asana|Project management|asana.com|asana
atlassian|Atlassian Cloud|Atlassian|Project management|atlassian.com atlassian.net|atlassian
auth0|Auth0|Okta|Identity|auth0.com|auth0
aws|Amazon Web Services|Amazon|Cloud platform|aws.amazon.com amazonaws.com|amazon_aws amazon_aws_sso
azure|Microsoft Azure|Microsoft|Cloud platform|azure.com|azure
bamboohr|BambooHR|BambooHR|HR|bamboohr.com|bamboohr
basecamp|Basecamp|37signals|Project management|basecamp.com|basecamp
beyondtrust|BeyondTrust|BeyondTrust|Identity|beyondtrust.com|
bill|BILL|BILL|Finance|bill.com|billcom
bitbucket|Bitbucket|Atlassian|Developer tools|bitbucket.org|bitbucket
bitwarden|Bitwarden|Bitwarden|Security|bitwarden.com|bitwarden
blackline|BlackLine|BlackLine|Finance|blackline.com|blackline
boomi|Boomi|Boomi|Integration|boomi.com|boomi
box|Box|Box|Content|box.com|boxnet
braze|Braze|Braze|Marketing|braze.com|braze
brex|Brex|Brex|Finance|brex.com|brex
calendly|Calendly|Calendly|Productivity|calendly.com|calendly
canva|Canva|Canva|Design|canva.com|canva
chatgpt|ChatGPT|OpenAI|AI|chatgpt.com openai.com|
circleci|CircleCI|CircleCI|Developer tools|circleci.com|
clari|Clari|Clari|Sales|clari.com|clari
claude|Claude|Anthropic|AI|claude.ai anthropic.com|
clickup|ClickUp|ClickUp|Project management|clickup.com|clickup
cloudflare|Cloudflare|Cloudflare|Network|cloudflare.com|cloudflare
coda|Coda|Coda|Knowledge|coda.io|coda
confluence|Confluence|Atlassian|Knowledge||confluence_onprem
contentful|Contentful|Contentful|Content|contentful.com|contentful
cornerstone|Cornerstone OnDemand|Cornerstone|Learning|csod.com cornerstoneondemand.com|cornerstone
coupa|Coupa|Coupa|Finance|coupa.com coupahost.com|coupa
coursera|Coursera|Coursera|Learning|coursera.org|coursera
crowdstrike|CrowdStrike Falcon|CrowdStrike|Security|crowdstrike.com|
culture-amp|Culture Amp|Culture Amp|HR|cultureamp.com|cultureamp
cyberark|CyberArk|CyberArk|Identity|cyberark.com cyberark.cloud|
dashlane|Dashlane|Dashlane|Security|dashlane.com|dashlane
databricks|Databricks|Databricks|Data|databricks.com|databricks
datadog|Datadog|Datadog|Operations|datadoghq.com datadoghq.eu|datadog
dbt|dbt Cloud|dbt Labs|Data|getdbt.com|
deel|Deel|Deel|HR|deel.com|deel
dialpad|Dialpad|Dialpad|Communications|dialpad.com|dialpad
docker|Docker Hub|Docker|Developer tools|docker.com hub.docker.com|
docusign|Docusign|Docusign|Contracts|docusign.com docusign.net|docusign
domo|Domo|Domo|Analytics|domo.com|domo
drata|Drata|Drata|Compliance|drata.com|drata
dropbox|Dropbox|Dropbox|Content|dropbox.com|dropbox_for_business
duo|Duo Security|Cisco|Security|duosecurity.com duo.com|duosecurity
dynamics-365|Microsoft Dynamics 365|Microsoft|CRM|dynamics.com|
dynatrace|Dynatrace|Dynatrace|Operations|dynatrace.com|dynatrace
egnyte|Egnyte|Egnyte|Content|egnyte.com|egnyte
elastic|Elastic Cloud|Elastic|Operations|elastic.co|
evernote|Evernote|Evernote|Knowledge|evernote.com|evernote
expensify|Expensify|Expensify|Finance|expensify.com|expensify
fastly|Fastly|Fastly|Network|fastly.com|fastly
figma|Figma|Figma|Design|figma.com|figma
fivetran|Fivetran|Fivetran|Data|fivetran.com|fivetran
freshdesk|Freshdesk|Freshworks|Support|freshdesk.com|freshdesk
freshservice|Freshservice|Freshworks|Service management|freshservice.com|freshservice
front|Front|Front|Support|front.com frontapp.com|front
fullstory|Fullstory|Fullstory|Analytics|fullstory.com|fullstory
gainsight|Gainsight|Gainsight|Customer success|gainsight.com|gainsight
github|GitHub|GitHub|Developer tools|github.com|githubcloud github githubenterprisemanageduser
gitlab|GitLab|GitLab|Developer tools|gitlab.com|gitlab
gong|Gong|Gong|Sales|gong.io|gong
google-cloud|Google Cloud|Google|Cloud platform|cloud.google.com|googlecloudplatform
google-workspace|Google Workspace|Google|Productivity|workspace.google.com|google
gorgias|Gorgias|Gorgias|Support|gorgias.com|
goto-meeting|GoTo Meeting|GoTo|Meetings|gotomeeting.com goto.com|gotomeeting
grafana|Grafana Cloud|Grafana Labs|Operations|grafana.com grafana.net|grafana
grammarly|Grammarly|Grammarly|Productivity|grammarly.com|grammarly
greenhouse|Greenhouse|Greenhouse|Recruiting|greenhouse.io|greenhouse
guru|Guru|Guru|Knowledge|getguru.com|guru
gusto|Gusto|Gusto|HR|gusto.com|gusto
heroku|Heroku|Salesforce|Cloud platform|heroku.com herokuapp.com|heroku
hibob|HiBob|HiBob|HR|hibob.com|hibob
highspot|Highspot|Highspot|Sales|highspot.com|highspot
hootsuite|Hootsuite|Hootsuite|Marketing|hootsuite.com|hootsuite
hubspot|HubSpot|HubSpot|CRM|hubspot.com|hubspot hubspotsaml
intercom|Intercom|Intercom|Support|intercom.com intercom.io|intercom
invision|InVision|InVision|Design|invisionapp.com|invision
ironclad-clickwrap|Ironclad Clickwrap|Ironclad|Contracts|pactsafe.com|
ironclad|Ironclad|Ironclad|Contracts|ironcladapp.com|ironclad
iterable|Iterable|Iterable|Marketing|iterable.com|iterable
jamf|Jamf Pro|Jamf|Device management|jamf.com jamfcloud.com|jamfsoftwareserver
jetbrains|JetBrains|JetBrains|Developer tools|jetbrains.com|
jira|Jira|Atlassian|Project management||jira_onprem
jumpcloud|JumpCloud|JumpCloud|Identity|jumpcloud.com|
kandji|Iru|Iru|Device management|kandji.io|kandji
keeper|Keeper|Keeper Security|Security|keepersecurity.com|
knowbe4|KnowBe4|KnowBe4|Security|knowbe4.com|knowbe4
lastpass|LastPass|LastPass|Security|lastpass.com|lastpass
lattice|Lattice|Lattice|HR|lattice.com latticehq.com|lattice
launchdarkly|LaunchDarkly|LaunchDarkly|Developer tools|launchdarkly.com|launchdarkly
lever|Lever|Employ|Recruiting|lever.co|lever
linear|Linear|Linear|Project management|linear.app|linear
linkedin-learning|LinkedIn Learning|LinkedIn|Learning|linkedin.com|linkedinlearning
looker|Looker|Google|Analytics|looker.com|looker
loom|Loom|Atlassian|Collaboration|loom.com|loom
lucid|Lucid|Lucid Software|Collaboration|lucid.app lucidchart.com|lucidchart
mailchimp|Mailchimp|Intuit|Marketing|mailchimp.com|mailchimp
mandiant|Mandiant|Google|Security|mandiant.com|
marketo|Marketo Engage|Adobe|Marketing|marketo.com|marketo
meraki|Cisco Meraki|Cisco|Network|meraki.com|meraki
microsoft-365|Microsoft 365|Microsoft|Productivity|office.com office365.com microsoft365.com|office365
microsoft-teams|Microsoft Teams|Microsoft|Collaboration|teams.microsoft.com|
mimecast|Mimecast|Mimecast|Security|mimecast.com|mimecast
miro|Miro|Miro|Collaboration|miro.com|miro realtimeboard
mixpanel|Mixpanel|Mixpanel|Analytics|mixpanel.com|mixpanel
mode|Mode|ThoughtSpot|Analytics|mode.com|
monday|monday.com|monday.com|Project management|monday.com|monday
mulesoft|MuleSoft Anypoint|Salesforce|Integration|mulesoft.com|mulesoft
mural|Mural|Tactivos|Collaboration|mural.co|mural
navan|Navan|Navan|Travel|navan.com tripactions.com|tripactions
netskope|Netskope|Netskope|Security|netskope.com|netskope
netsuite|NetSuite|Oracle|Finance|netsuite.com|netsuite
new-relic|New Relic|New Relic|Operations|newrelic.com|newrelic
notion|Notion|Notion Labs|Knowledge|notion.so notion.com|notion
okta|Okta|Okta|Identity|okta.com oktapreview.com okta-emea.com|
onelogin|OneLogin|One Identity|Identity|onelogin.com|
onetrust|OneTrust|OneTrust|Compliance|onetrust.com|onetrust
opsgenie|Opsgenie|Atlassian|Operations|opsgenie.com|opsgenie
outreach|Outreach|Outreach|Sales|outreach.io|outreach
pagerduty|PagerDuty|PagerDuty|Operations|pagerduty.com|pagerduty
palo-alto-networks|Palo Alto Networks|Palo Alto Networks|Security|paloaltonetworks.com|
pandadoc|PandaDoc|PandaDoc|Contracts|pandadoc.com|pandadoc
pendo|Pendo|Pendo|Analytics|pendo.io|pendo
personio|Personio|Personio|HR|personio.com personio.de|personio
pingone|PingOne|Ping Identity|Identity|pingone.com pingone.eu pingidentity.com|
pipedrive|Pipedrive|Pipedrive|CRM|pipedrive.com|pipedrive
pluralsight|Pluralsight|Pluralsight|Learning|pluralsight.com|pluralsight
postman|Postman|Postman|Developer tools|postman.com getpostman.com|postman
power-bi|Power BI|Microsoft|Analytics|powerbi.com|
proofpoint|Proofpoint|Proofpoint|Security|proofpoint.com|proofpoint
qualtrics|Qualtrics|Qualtrics|Marketing|qualtrics.com|qualtrics
qualys|Qualys|Qualys|Security|qualys.com|qualys
quickbooks|QuickBooks Online|Intuit|Finance|quickbooks.intuit.com|quickbooks
quip|Quip|Salesforce|Collaboration|quip.com|quip
ramp|Ramp|Ramp|Finance|ramp.com|ramp
rapid7|Rapid7|Rapid7|Security|rapid7.com|rapid7
ringcentral|RingCentral|RingCentral|Communications|ringcentral.com|ringcentral
rippling|Rippling|Rippling|HR|rippling.com|rippling
sailpoint-isc|SailPoint Identity Security Cloud|SailPoint|Identity|sailpoint.com identitynow.com|sailpointidentitynow
salesforce|Salesforce|Salesforce|CRM|salesforce.com force.com|salesforce
salesloft|Salesloft|Salesloft|Sales|salesloft.com|salesloft
sap-concur|SAP Concur|SAP|Finance|concur.com concursolutions.com|concur
saviynt|Saviynt|Saviynt|Identity|saviynt.com saviyntcloud.com|saviynt
segment|Twilio Segment|Twilio|Data|segment.com|segment
seismic|Seismic|Seismic|Sales|seismic.com|seismic
semrush|Semrush|Semrush|Marketing|semrush.com|
sendgrid|SendGrid|Twilio|Communications|sendgrid.com|sendgrid
sentinelone|SentinelOne|SentinelOne|Security|sentinelone.com sentinelone.net|
sentry|Sentry|Functional Software|Operations|sentry.io|sentry
servicenow|ServiceNow|ServiceNow|Service management|servicenow.com service-now.com|servicenow_ud servicenow_app
sharepoint|SharePoint|Microsoft|Content|sharepoint.com|
sketch|Sketch|Sketch|Design|sketch.com|sketch
slack|Slack|Salesforce|Collaboration|slack.com|slack
smartrecruiters|SmartRecruiters|SmartRecruiters|Recruiting|smartrecruiters.com|smartrecruiters
smartsheet|Smartsheet|Smartsheet|Project management|smartsheet.com|smartsheet
snowflake|Snowflake|Snowflake|Data|snowflake.com snowflakecomputing.com|snowflake
snyk|Snyk|Snyk|Security|snyk.io|snyk
sonarcloud|SonarQube Cloud|Sonar|Developer tools|sonarcloud.io|
splunk|Splunk Cloud|Cisco|Operations|splunk.com splunkcloud.com|splunkcloud
sprout-social|Sprout Social|Sprout Social|Marketing|sproutsocial.com|sproutsocial
statuspage|Statuspage|Atlassian|Operations|statuspage.io|statuspage
stripe|Stripe|Stripe|Finance|stripe.com|stripe
successfactors|SAP SuccessFactors|SAP|HR|successfactors.com successfactors.eu|successfactors
sumo-logic|Sumo Logic|Sumo Logic|Operations|sumologic.com|sumologic
surveymonkey|SurveyMonkey|SurveyMonkey|Marketing|surveymonkey.com|surveymonkey
tableau|Tableau|Salesforce|Analytics|tableau.com|tableau
tenable|Tenable|Tenable|Security|tenable.com|tenable
trello|Trello|Atlassian|Project management|trello.com|trello
twilio|Twilio|Twilio|Communications|twilio.com|twilio
typeform|Typeform|Typeform|Marketing|typeform.com|typeform
udemy-business|Udemy Business|Udemy|Learning|udemy.com|udemy
ukg-pro|UKG Pro|UKG|HR|ultipro.com ukg.com|ultipro
umbrella|Cisco Umbrella|Cisco|Security|umbrella.com|
vanta|Vanta|Vanta|Compliance|vanta.com|vanta
webex|Webex|Cisco|Meetings|webex.com|ciscowebex
wiz|Wiz|Wiz|Security|wiz.io|wiz
workato|Workato|Workato|Integration|workato.com|workato
workday|Workday|Workday|HR|workday.com myworkday.com|workday
workiva|Workiva|Workiva|Finance|workiva.com wdesk.com|workiva
wrike|Wrike|Wrike|Project management|wrike.com|wrike
xero|Xero|Xero|Finance|xero.com|xero
zapier|Zapier|Zapier|Integration|zapier.com|zapier
zendesk|Zendesk|Zendesk|Support|zendesk.com|zendesk
zoho-crm|Zoho CRM|Zoho|CRM|zoho.com zoho.eu|zohocrm
zoominfo|ZoomInfo|ZoomInfo|Sales|zoominfo.com|zoominfo
zoom|Zoom|Zoom|Meetings|zoom.us zoom.com|zoomus
zscaler|Zscaler|Zscaler|Security|zscaler.com zscaler.net|zscaler
zuora|Zuora|Zuora|Finance|zuora.com|zuora
"""

WELL_KNOWN: tuple[Entry, ...] = tuple(_read(line) for line in _LINES.strip().splitlines())
