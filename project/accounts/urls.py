"""Accounts: allauth's pages, the first run, invitations and settings."""

from django.urls import include, path

from project.accounts.views import invitations, sessions, settings, setup, signup

urlpatterns = [
    path("setup/", setup.setup, name="setup"),
    path("invite/<str:code>/", signup.invite, name="invite"),
    path("accounts/signup/", signup.SignupView.as_view(), name="account_signup"),
    path("accounts/password/reset/", signup.PasswordResetView.as_view(), name="account_reset_password"),
    path("accounts/", include("allauth.account.urls")),
    path("settings/", settings.profile, name="profile"),
    path("settings/sessions/", sessions.sessions, name="usersessions_list"),
    path("settings/delete/", settings.delete_account, name="delete_account"),
    path("settings/site/", settings.site_settings, name="site_settings"),
    path("settings/invitations/", invitations.invitations, name="invitations"),
]
